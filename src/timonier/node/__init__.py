"""A node: the container runtime, the kubelet, the service proxy, DNS and the pod network, and the agent that runs them.

The parts meet through `NodeSettings` and the API server, and do not import each other.
"""
