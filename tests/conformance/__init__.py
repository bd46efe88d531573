"""Kubernetes's conformance suite against a cluster of ours: the real tests, unmodified.

`PYTHONPATH=tests python -m conformance --focus 'sig-api-machinery'` builds the suite (`programs`; a quarter of an hour,
once), puts the images that its pods run together from programs of Go's and Debian's packages (`images`), since no
registry may be at hand, starts a cluster of its own and prints how each test ended. Tests whose images are not made
here fail for that alone.
"""
