"""A real containerd for the tests that are marked `machine`."""

from node_server.conftest import containerd_socket

__all__ = ["containerd_socket"]
