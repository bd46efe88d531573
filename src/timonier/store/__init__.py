"""The revisioned log under everything: its contract, and the engines that keep it.

Knows keys and bytes, not Kubernetes.
"""
