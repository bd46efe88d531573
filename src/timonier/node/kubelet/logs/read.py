"""Reads a container's log: from its last lines on, and on and on while it grows, from one file to the next.

The file may be moved away and made anew at any time (rotation): a follower finishes the file that it has open, then
takes up the new one. Waiting is by looking again, after a pause that grows to a tenth of a second.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

from timonier.kit.clock import Clock, Seconds
from timonier.node.kubelet.logs.lines import LogOptions, Selection

CHUNK = 64 * 1024
SHORTEST_PAUSE: Seconds = 0.01
LONGEST_PAUSE: Seconds = 0.1
RUNNING_CHECK: Seconds = 1.0
"""How long a silent follower waits before it asks whether the container still runs."""

Running = Callable[[], Awaitable[bool]]


async def read_log(path: Path, options: LogOptions, running: Running, clock: Clock) -> AsyncIterator[bytes]:
    """What the options select of the log at `path`, in pieces; with `follow`, until the container has ended.

    Raises OSError where there is no such file.
    """
    selection = Selection(options)
    file: BinaryIO = path.open("rb")
    try:
        file.seek(tail_offset(file, options.tail))
        while not selection.over:
            if data := file.read(CHUNK):
                if output := selection.feed(data):
                    yield output
                await clock.sleep(0)  # a reader that keeps up must not keep others from their turn
                continue
            if not options.follow or not await grows(file, path, running, clock):
                return
            if newer := successor(file, path):
                while data := file.read(CHUNK):  # what was written between the last look and the rotation
                    if output := selection.feed(data):
                        yield output
                file.close()
                file = newer
                selection.restart()
    finally:
        file.close()


async def grows(file: BinaryIO, path: Path, running: Running, clock: Clock) -> bool:
    """Wait at the end of a file until there is more to read; False where the container ended and there is no more."""
    pause, silent_since = SHORTEST_PAUSE, clock.monotonic()
    while True:
        if has_more(file, path):
            return True
        if clock.monotonic() - silent_since >= RUNNING_CHECK:
            if not await running():
                return has_more(file, path)
            silent_since = clock.monotonic()
        await clock.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def has_more(file: BinaryIO, path: Path) -> bool:
    """Whether the file has grown, was truncated, or has been replaced."""
    position, opened = file.tell(), os.fstat(file.fileno())
    if opened.st_size < position:
        file.seek(0)
        return opened.st_size > 0
    if opened.st_size > position:
        return True
    try:
        current = path.stat()
    except OSError:
        return False
    return (current.st_ino, current.st_dev) != (opened.st_ino, opened.st_dev)


def successor(file: BinaryIO, path: Path) -> BinaryIO | None:
    """The file that has taken the place of the one that is open, opened; None while there is none."""
    opened = os.fstat(file.fileno())
    try:
        newer = path.open("rb")
    except OSError:
        return None
    current = os.fstat(newer.fileno())
    if (current.st_ino, current.st_dev) == (opened.st_ino, opened.st_dev):
        newer.close()
        return None
    return newer


def tail_offset(file: BinaryIO, lines: int | None) -> int:
    """Where the last `lines` lines of a file begin; 0 for all of them."""
    if lines is None:
        return 0
    end = position = file.seek(0, os.SEEK_END)
    if not end or not lines:
        return end
    wanted = lines
    file.seek(end - 1)
    if file.read(1) == b"\n":
        wanted += 1  # the last line's own end
    while position > 0:
        start = max(0, position - CHUNK)
        file.seek(start)
        block = file.read(position - start)
        count = block.count(b"\n")
        if count >= wanted:
            at = len(block)
            for _ in range(wanted):
                at = block.rfind(b"\n", 0, at)
            return start + at + 1
        wanted -= count
        position = start
    return 0
