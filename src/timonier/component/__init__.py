"""What a part of a cluster shows of itself over HTTPS: who asks, whether they may, health, metrics.

The kubelet's API and the endpoints of controllers and scheduler are made of this. What a part counts is the part's own
business (`reconcile.metrics`, `scheduler.metrics`); it hands `shown.Shown` a function. A process that shows nothing
imports `shown`, `settings` and `showing`, which weigh nothing.
"""
