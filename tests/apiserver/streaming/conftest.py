"""Links are closed as in the tests of the kubelet's API."""

from __future__ import annotations

import pytest
from support.streams import links

from timonier.cluster.certificates import Authority

__all__ = ["links"]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A cluster's CA."""
    return Authority(tmp_path_factory.mktemp("pki"))
