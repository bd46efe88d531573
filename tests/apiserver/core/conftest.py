from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.api_server import Cluster, made_kind, running


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running(tmp_path) as made:
        await made.registry.create(made_kind("v1/ServiceAccount"), {"metadata": {"name": "default"}}, "default")
        yield made
