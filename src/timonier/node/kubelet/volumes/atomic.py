"""Write a set of files so that a reader sees the old ones or the new ones, never a mixture, and never half a file.

The files lie in a directory of their own, `..data` is a symlink to it, and each visible name is a symlink through
`..data`: replacing that one link replaces them all. Source: Kubernetes's AtomicWriter, whose layout programs know.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

DATA, NEW = "..data", "..data_tmp"
FOLDER_MODE = 0o755


@dataclass(frozen=True, slots=True)
class File:
    data: bytes
    mode: int = 0o644
    uid: int | None = None


class BadPath(ValueError):
    """A file name that leaves the volume, or that the layout uses itself."""


def write(folder: Path, files: Mapping[str, File], gid: int | None = None) -> bool:
    """Make the volume hold these files, by path relative to it; False where it holds them already. Raises BadPath."""
    for path in files:
        check(path)
    before = current(folder)
    if before is not None and before == {path: (file.data, file.mode) for path, file in files.items()}:
        return False
    old = target(folder)
    fresh = Path(tempfile.mkdtemp(prefix="..20", dir=folder))
    fresh.chmod(FOLDER_MODE)
    for path, file in files.items():
        place(fresh, path, file, gid)
    if gid is not None:
        os.chown(fresh, -1, gid)
    (folder / NEW).unlink(missing_ok=True)
    (folder / NEW).symlink_to(fresh.name)
    os.replace(folder / NEW, folder / DATA)
    show(folder, files)
    if old is not None and old != fresh:
        shutil.rmtree(old, ignore_errors=True)
    return True


def check(path: str) -> None:
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or ".." in parts:
        raise BadPath(f"invalid path: must be relative and must not contain '..': {path}")
    if parts[0].startswith(".."):
        raise BadPath(f"invalid path: must not start with '..': {path}")


def place(fresh: Path, path: str, file: File, gid: int | None) -> None:
    where = fresh / path
    for folder in reversed(PurePosixPath(path).parents[:-1]):
        inner = fresh / folder
        inner.mkdir(mode=FOLDER_MODE, exist_ok=True)
        if gid is not None:
            os.chown(inner, -1, gid)
    where.write_bytes(file.data)
    if gid is not None or file.uid is not None:
        os.chown(where, -1 if file.uid is None else file.uid, -1 if gid is None else gid)
    where.chmod(file.mode)


def show(folder: Path, files: Mapping[str, File]) -> None:
    """Have one link for each first part of a path, and none for what is no longer there."""
    visible = {PurePosixPath(path).parts[0] for path in files}
    for name in visible:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in visible and entry.is_symlink():
            entry.unlink()


def target(folder: Path) -> Path | None:
    try:
        return folder / os.readlink(folder / DATA)
    except FileNotFoundError:
        return None


def current(folder: Path) -> dict[str, tuple[bytes, int]] | None:
    """What the volume holds now: content and mode by path; None where nothing was ever written."""
    base = target(folder)
    if base is None or not base.is_dir():
        return None
    held = {}
    for path in base.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                held[str(path.relative_to(base))] = (path.read_bytes(), path.stat().st_mode & 0o7777)
    return held
