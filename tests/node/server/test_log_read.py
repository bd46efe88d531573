"""Reading a log from its end, following it, and following it into the next file."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.kit.clock import FakeClock
from timonier.node.kubelet.logs.lines import LogOptions
from timonier.node.kubelet.logs.read import CHUNK, LONGEST_PAUSE, RUNNING_CHECK, read_log, tail_offset


def line(text: str) -> bytes:
    return f"2026-01-02T03:04:05Z stdout F {text}\n".encode()


async def is_running() -> bool:
    return True


async def has_ended() -> bool:
    return False


class Follower:
    """Collects what a reader of a log sees, while a test writes and lets time pass."""

    def __init__(self, path: Path, options: LogOptions, running=is_running) -> None:
        self.clock = FakeClock()
        self.seen = b""
        self.task = asyncio.create_task(self._collect(path, options, running))

    async def _collect(self, path, options, running) -> None:
        async for piece in read_log(path, options, running, self.clock):
            self.seen += piece

    async def settle(self, seconds: float = LONGEST_PAUSE * 2) -> bytes:
        await self.clock.advance(seconds)
        return self.seen

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "0.log"
    path.write_bytes(b"".join(line(str(number)) for number in range(5)))
    return path


def append(path: Path, *texts: str) -> None:
    with path.open("ab") as file:
        file.write(b"".join(map(line, texts)))


async def whole(path: Path, **options) -> bytes:
    pieces = [piece async for piece in read_log(path, LogOptions(**options), is_running, FakeClock())]
    return b"".join(pieces)


@pytest.mark.parametrize(("tail", "expected"), [
    (None, b"0\n1\n2\n3\n4\n"), (0, b""), (2, b"3\n4\n"), (5, b"0\n1\n2\n3\n4\n"), (99, b"0\n1\n2\n3\n4\n")])
async def test_the_last_lines_are_read(log, tail, expected):
    assert await whole(log, tail=tail) == expected


@given(st.lists(st.integers(0, 200_000), max_size=5), st.integers(0, 6), st.booleans())
def test_the_tail_begins_where_a_slow_search_says(tmp_path_factory, sizes, lines, ended):
    content = b"\n".join(b"x" * size for size in sizes) + (b"\n" if ended and sizes else b"")
    path = tmp_path_factory.mktemp("tail") / "log"
    path.write_bytes(content)
    with path.open("rb") as file:
        start = tail_offset(file, lines)
    kept = content.splitlines(keepends=True)
    assert content[start:] == b"".join(kept[len(kept) - min(lines, len(kept)):])


async def test_a_log_longer_than_one_piece_is_read_whole(tmp_path):
    path = tmp_path / "0.log"
    path.write_bytes(b"".join(line("x" * 1000) for _ in range(3 * CHUNK // 1000)))
    assert len(await whole(path)) == 3 * CHUNK // 1000 * 1001


async def test_following_shows_what_is_written_later(log):
    follower = Follower(log, LogOptions(follow=True, tail=1))
    assert await follower.settle() == b"4\n"
    append(log, "5")
    assert await follower.settle() == b"4\n5\n"
    await follower.stop()


async def test_following_goes_on_in_the_next_file_and_loses_nothing(log):
    follower = Follower(log, LogOptions(follow=True, tail=0))
    await follower.settle()
    log.rename(log.with_name("0.log.rotated"))
    append(log.with_name("0.log.rotated"), "last of the old")
    assert await follower.settle() == b"last of the old\n"
    append(log.with_name("0.log.rotated"), "very last of the old")
    append(log, "first of the new")
    assert await follower.settle() == b"last of the old\nvery last of the old\nfirst of the new\n"
    await follower.stop()


async def test_a_truncated_log_is_followed_from_its_new_beginning(log):
    follower = Follower(log, LogOptions(follow=True, tail=0))
    await follower.settle()
    os.truncate(log, 0)
    append(log, "anew")
    assert await follower.settle() == b"anew\n"
    await follower.stop()


async def test_following_ends_after_the_container_with_its_last_words(log):
    follower = Follower(log, LogOptions(follow=True, tail=0), has_ended)
    await follower.settle()
    assert not follower.task.done()
    append(log, "goodbye")
    await follower.settle(RUNNING_CHECK * 2)
    assert follower.task.done()
    assert follower.seen == b"goodbye\n"


async def test_following_ends_at_the_limit(log):
    follower = Follower(log, LogOptions(follow=True, limit=3))
    await follower.settle()
    assert follower.task.done()
    assert follower.seen == b"0\n1"


async def test_a_log_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        await whole(tmp_path / "none.log")
