"""Probes: how one is made (`attempt`), what its results mean (`verdict`, pure), and who makes them when (`prober`).

What follows from a verdict (restarting a container, readiness in the status) is decided in `kubelet.plan` and
`kubelet.status`.
"""
