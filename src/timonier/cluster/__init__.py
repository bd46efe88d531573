"""Whole clusters on one machine: make, start, stop, repair and delete them.

A cluster is a `ClusterSpec` on disk, a supervisor that keeps its processes running, and nodes in network namespaces.
What runs inside the processes is the business of their own packages.
"""
