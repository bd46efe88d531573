"""The container runtime: what the kubelet asks of one (`contract`), containerd over CRI, and a simulated one.

Nothing here knows of pods as the API has them: sandboxes, containers and images only.
"""
