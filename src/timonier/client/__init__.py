"""The client's side of the API: typed requests, mirrors of collections, work queues, leader election, kubeconfig.

What should be done about what a mirror shows is the business of `timonier.reconcile` and the layers above it.
"""
