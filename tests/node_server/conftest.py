"""Streams that a test opens are closed after it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from node_server.clients import close_all


@pytest.fixture(autouse=True)
async def links() -> AsyncIterator[None]:
    yield
    await close_all()
