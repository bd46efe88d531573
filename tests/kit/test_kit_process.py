"""What a long-lived process does about its memory."""

from __future__ import annotations

import resource
from pathlib import Path

from timonier.kit.process import give_back

PIECE = 3_000
"""Bytes: too many for Python's own arenas, too few to be mapped alone."""
PIECES = 20_000
MIB = 2**20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def test_free_memory_below_what_is_in_use_goes_back_to_the_system() -> None:
    pieces = [bytes(PIECE) for _ in range(PIECES)]
    kept = pieces[::50]
    pieces.clear()
    full = resident()
    await give_back()
    assert resident() < full - 20 * MIB
    assert len(kept) == PIECES // 50
