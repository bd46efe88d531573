"""One real cluster of two nodes for all end-to-end tests that do not break it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import RealCluster
from support.standins import all_images

from timonier.cluster.images.archive import archive


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What compares the whole machine before and after comes before the other clusters."""
    items.sort(key=lambda item: item.path.name != "test_leaves_nothing.py")


@pytest.fixture(scope="session")
def standins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of every stand-in image."""
    file = tmp_path_factory.mktemp("images") / "standins.tar"
    file.write_bytes(archive(*all_images()))
    return file


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, standins: Path) -> Iterator[RealCluster]:
    with RealCluster("e2e", tmp_path_factory.mktemp("e2e")).running("--nodes", "2", images=standins) as made:
        yield made
