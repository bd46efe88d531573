"""One real cluster of two nodes for all end-to-end tests that do not break it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import RealCluster
from support.standins import all_images

from timonier.cluster.images.archive import archive


@pytest.fixture(scope="session")
def standins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of every stand-in image."""
    file = tmp_path_factory.mktemp("images") / "standins.tar"
    file.write_bytes(archive(*all_images()))
    return file


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, standins: Path) -> Iterator[RealCluster]:
    assert os.geteuid() == 0, "end-to-end tests make namespaces and need root; `make test-unit` runs without them"
    made = RealCluster("e2e", tmp_path_factory.mktemp("e2e") / "kubeconfig")
    made.timonier("delete", "--name", made.name)
    made.start("--nodes", "2")
    made.timonier("image", "load", "--name", made.name, str(standins))
    yield made
    made.timonier("delete", "--name", made.name)
