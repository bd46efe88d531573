"""The node's own log files under /logs/: listed and read, never outside of their directory."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from timonier.component.answers import TEXT, Call, Refused
from timonier.kit.streaming.chunked import ChunkedAnswer

CHUNK = 256 * 1024
NOT_FOUND = "404 page not found\n"


async def serve_file(call: Call, root: Path | None, segments: Sequence[str]) -> None:
    """A file's content, or a directory's listing. Links are followed only within the directory."""
    if root is None:
        raise Refused(404, NOT_FOUND)
    path = await asyncio.to_thread(inside, root, [each for each in segments if each])
    if path.is_dir():
        await call.answer(200, await asyncio.to_thread(listing, path), "text/html; charset=utf-8")
        return
    try:
        file = await asyncio.to_thread(path.open, "rb")
    except OSError as error:
        raise Refused(404, NOT_FOUND) from error
    with file:
        taken = call.take_over()
        answer = ChunkedAnswer(taken)
        await answer.begin(200, {"Content-Type": TEXT})
        while taken.open and (data := await asyncio.to_thread(file.read, CHUNK)):
            await answer.write(data)
        answer.end()


def inside(root: Path, segments: Sequence[str]) -> Path:
    """The path below `root`, with all links resolved; Refused where it does not exist or leads out."""
    if any(each == ".." or "\0" in each for each in segments):
        raise Refused(400, "invalid path")
    try:
        base = root.resolve(strict=True)
        path = base.joinpath(*segments).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise Refused(404, NOT_FOUND) from error
    if not path.is_relative_to(base) or not (path.is_file() or path.is_dir()):
        raise Refused(404, NOT_FOUND)
    return path


def listing(folder: Path) -> bytes:
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in folder.iterdir())
    lines = [f'<a href="{quote(name)}">{html.escape(name)}</a>\n' for name in names]
    return ("<!doctype html>\n<pre>\n" + "".join(lines) + "</pre>\n").encode()
