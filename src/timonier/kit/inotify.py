"""inotify: tells when a folder changes, by the kernel's word instead of looking again and again.

What changed is not told, since whoever asks reads the folder anyway. A file counts once it was written to its end;
links that appear are not noticed. Source: inotify(7).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

CLOSE_WRITE, MOVED_FROM, MOVED_TO, DELETE, MOVE_SELF, IGNORED = 0x8, 0x40, 0x80, 0x200, 0x800, 0x8000
ONLY_FOLDERS = 0x01000000
EVENT = struct.Struct("iIII")
"""Watch, mask, cookie, length of the name that follows."""
BUFFER = 1 << 16


async def changes(folder: Path) -> AsyncIterator[None]:
    """Yield whenever the folder's content has changed; end when the folder itself is gone.

    Raises OSError where it cannot be watched, for instance since this machine's watches are used up.
    """
    loop, news, gone = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    descriptor = watch(folder)

    def readable() -> None:
        if any(mask & (IGNORED | MOVE_SELF) for mask in masks(os.read(descriptor, BUFFER))):
            gone.set()
        news.set()

    loop.add_reader(descriptor, readable)
    try:
        while not gone.is_set():
            await news.wait()
            news.clear()
            yield
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def watch(folder: Path) -> int:
    """A descriptor that becomes readable when the folder changes."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    wanted = CLOSE_WRITE | MOVED_FROM | MOVED_TO | DELETE | MOVE_SELF | ONLY_FOLDERS
    if descriptor < 0 or libc.inotify_add_watch(descriptor, os.fsencode(folder), wanted) < 0:
        error = ctypes.get_errno()
        if descriptor >= 0:
            os.close(descriptor)
        raise OSError(error, os.strerror(error), str(folder))
    return descriptor


def masks(events: bytes) -> Iterator[int]:
    at = 0
    while at < len(events):
        _, mask, _, length = EVENT.unpack_from(events, at)
        yield mask
        at += EVENT.size + length
