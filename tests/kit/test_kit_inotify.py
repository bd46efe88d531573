"""inotify, with the kernel's own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from timonier.kit import inotify

LIMIT = 10.0


async def heard(changes: AsyncIterator[None], change: object) -> bool:
    """Whether what `change` does is heard of."""
    task = asyncio.ensure_future(anext(changes, False))
    await asyncio.sleep(0)  # now it listens
    change()  # type: ignore[operator]
    async with asyncio.timeout(LIMIT):
        return await task is None


@pytest.mark.parametrize("change", [
    pytest.param(lambda folder: (folder / "new").write_text("x"), id="written"),
    pytest.param(lambda folder: (folder / "old").unlink(), id="removed"),
    pytest.param(lambda folder: (folder / "old").rename(folder.parent / "away"), id="moved-away"),
    pytest.param(lambda folder: (folder.parent / "aside").rename(folder / "in"), id="moved-in"),
])
async def test_a_change_in_the_folder_is_told(tmp_path: Path, change: object) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for file in (folder / "old", tmp_path / "aside"):
        file.touch()
    changes = inotify.changes(folder)
    assert await heard(changes, lambda: change(folder))  # type: ignore[operator]
    await changes.aclose()  # type: ignore[attr-defined]


async def test_it_ends_with_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    changes = inotify.changes(folder)
    assert await heard(changes, lambda: shutil.rmtree(folder))
    async with asyncio.timeout(LIMIT):
        assert await anext(changes, "ended") == "ended"


async def test_what_is_not_a_folder_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await anext(inotify.changes(tmp_path / "absent"))
