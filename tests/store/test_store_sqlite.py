"""What the SQLite engine adds to the contract: a file that survives, shrinks, has one owner, and refuses honestly."""

import asyncio
import resource
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from timonier.store.contract import ABSENT, Unavailable
from timonier.store.sqlite import SqliteStore, Unusable


def size(path: Path, suffix: str = "") -> int:
    return Path(f"{path}{suffix}").stat().st_size


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(path)
    yield opened
    await opened.close()


async def test_what_was_written_is_there_after_a_restart(path: Path):
    store = await SqliteStore.open(path)
    created = await store.write("/a", b"1", expect=ABSENT)
    await store.write("/a", b"2", expect=created)
    gone = await store.write("/b", b"", expect=ABSENT)
    deleted = await store.delete("/b", expect=gone)
    before = [await store.list("/"), await store.list("/", at=gone)]
    await store.close()
    store = await SqliteStore.open(path)
    assert [await store.list("/"), await store.list("/", at=gone)] == before
    assert await store.write("/b", b"", expect=ABSENT) == deleted + 1
    await store.close()


async def test_a_second_owner_is_refused_by_name(store: SqliteStore, path: Path):
    program = ("import asyncio, sys; from timonier.store.sqlite import SqliteStore\n"
               "try: asyncio.run(SqliteStore.open(sys.argv[1]))\n"
               "except Exception as error: print(type(error).__name__, error)")
    other = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program, str(path)],
                                    capture_output=True, text=True, timeout=30, check=True)
    assert other.stdout.startswith(f"Unusable {path} is in use by process ")


async def test_a_refused_file_can_be_opened_once_its_owner_is_gone(path: Path):
    first = await SqliteStore.open(path)
    with pytest.raises(Unusable, match="in use by process"):
        await SqliteStore.open(path)
    await first.close()
    await (await SqliteStore.open(path)).close()


async def test_what_is_not_a_store_is_refused(path: Path, tmp_path: Path):
    path.write_bytes(b"this is no database " * 100)  # noqa: ASYNC240 - a test may wait for its disk
    with pytest.raises(Unusable, match="not a database"):
        await SqliteStore.open(path)
    with pytest.raises(Unusable, match="No such file"):
        await SqliteStore.open(tmp_path / "missing" / "store.db")


async def test_a_file_of_a_later_format_is_refused(path: Path):
    await (await SqliteStore.open(path)).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Unusable, match="format 99"):
        await SqliteStore.open(path)


async def test_only_the_owner_may_read_the_file(store: SqliteStore, path: Path):
    await store.write("/secrets/a", b"1", expect=ABSENT)
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()} == {
        "store.db": "0o600", "store.db-shm": "0o600", "store.db-wal": "0o600", "store.db.lock": "0o600"}


async def test_the_file_shrinks_after_compaction(store: SqliteStore, path: Path):
    revision = await store.write("/a", b"x" * 50_000, expect=ABSENT)
    for _ in range(200):
        revision = await store.write("/a", b"x" * 50_000, expect=revision)
    await store.close()
    large = size(path)
    again = await SqliteStore.open(path)
    await again.compact(revision)
    assert [entry.revision for entry in (await again.list("/")).entries] == [revision]
    await again.close()
    assert size(path) < large / 20


async def test_the_log_is_checkpointed_while_writes_go_on(path: Path):
    store = await SqliteStore.open(path, checkpoint_bytes=200_000)

    async def writer(number: int) -> None:
        revision = None
        for _ in range(100):
            revision = await store.write(f"/{number}", b"x" * 20_000, expect=revision or ABSENT)

    await asyncio.gather(*(writer(number) for number in range(32)))
    written = 32 * 100 * 20_000
    assert size(path, "-wal") < written * 0.75
    assert size(path) > 1_000_000
    await store.close()


async def test_compaction_goes_on_after_a_restart_that_interrupted_it(path: Path):
    store = await SqliteStore.open(path)
    revision = await store.write("/a", b"", expect=ABSENT)
    for _ in range(1000):
        revision = await store.write("/a", b"x" * 1000, expect=revision)
    interrupted = asyncio.ensure_future(store.compact(revision))
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(interrupted, return_exceptions=True)
    again = await SqliteStore.open(path)
    await again.compact(revision)
    await again.close()
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT count(*) FROM log").fetchone()
    connection.close()
    assert rows == (1,)


async def test_a_full_disk_refuses_writes_and_loses_nothing(store: SqliteStore, path: Path):
    """The limit on file size stands for the full disk: SQLite's writes fail in the same places."""
    revision = await store.write("/a", b"kept", expect=ABSENT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size(path, "-wal") + 8192, hard))
    try:
        refused = await asyncio.gather(*(store.write(f"/big/{n}", b"x" * 100_000, expect=ABSENT) for n in range(3)),
                                       return_exceptions=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [type(outcome) for outcome in refused] == [Unavailable] * 3
    assert await store.revision() == revision
    assert [entry.key for entry in (await store.list("/")).entries] == ["/a"]
    assert await store.write("/big/0", b"x" * 100_000, expect=ABSENT) == revision + 1
    await store.close()
    again = await SqliteStore.open(path)
    assert [entry.key for entry in (await again.list("/")).entries] == ["/a", "/big/0"]
    await again.close()


async def test_long_listings_let_others_have_a_turn(store: SqliteStore):
    await asyncio.gather(*(store.write(f"/{number:04}", b"x", expect=ABSENT) for number in range(1000)))
    turns = 0
    listing = asyncio.ensure_future(store.list("/"))
    while not listing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
