"""The real runtime of the kubelet API's tests serves these as well, and links are closed as there."""

from __future__ import annotations

import pytest
from node_server.conftest import containerd_socket, links

from timonier.cluster.certificates import Authority

__all__ = ["containerd_socket", "links"]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A cluster's CA."""
    return Authority(tmp_path_factory.mktemp("pki"))
