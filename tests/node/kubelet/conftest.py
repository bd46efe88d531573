from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.kubelet_bench import NodeBench, node_bench


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[NodeBench]:
    async with node_bench(tmp_path) as bench:
        yield bench
