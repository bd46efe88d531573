"""The engines that the contract suite runs over. An engine is a way to open a store in a folder."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from timonier.store.contract import Store
from timonier.store.memory import MemoryStore
from timonier.store.sqlite import SqliteStore

Engine = Callable[[Path], Awaitable[Store]]
BUFFER = 4
"""So small that tests overflow it without trying."""


async def memory(folder: Path) -> Store:
    return MemoryStore(watch_buffer=BUFFER)


async def sqlite(folder: Path) -> Store:
    return await SqliteStore.open(folder / "store.db", watch_buffer=BUFFER, checkpoint_bytes=4096)


@pytest.fixture(params=[memory, sqlite], ids=["memory", "sqlite"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.param


@pytest.fixture
async def store(engine: Engine, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await engine(tmp_path)
    yield opened
    await opened.close()
