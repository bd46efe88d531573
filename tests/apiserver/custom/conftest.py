from __future__ import annotations

import pytest
from support.api_server import running


@pytest.fixture
async def cluster(tmp_path):
    async with running(tmp_path) as made:
        yield made
