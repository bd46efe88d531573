"""subPath: mount a part of a volume, and never anything outside of it, whatever links its content holds.

The path is resolved, checked to lie in the volume, and walked again from the volume's root without following links;
what was reached is bind-mounted through its file descriptor, so that nobody can exchange it in between.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from timonier.node.kubelet.volumes import mounts
from timonier.node.kubelet.volumes.contents import VolumeError


def bind(volume: Path, path: str, target: Path) -> None:
    """Bind-mount `path` below a volume onto `target`, making a directory where nothing is. Raises VolumeError."""
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts:
        raise VolumeError(f"subPath must be relative and must not contain '..': {path}")
    descriptor = reach(volume, path)
    try:
        is_folder = os.path.isdir(f"/proc/self/fd/{descriptor}")
        target.parent.mkdir(parents=True, exist_ok=True)
        if mounts.is_mounted(target):
            mounts.unmount(target)
        if is_folder:
            target.mkdir(exist_ok=True)
        else:
            target.touch()
        mounts.mount(f"/proc/self/fd/{descriptor}", target, flags=mounts.MS_BIND)
    finally:
        os.close(descriptor)


def reach(volume: Path, path: str) -> int:
    """A descriptor of what a path in a volume leads to; the caller closes it."""
    root = Path(os.path.realpath(volume))
    found = Path(os.path.realpath(root / path))
    if found != root and not found.is_relative_to(root):
        raise VolumeError(f"subpath {path} is outside of the volume")
    here = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in found.relative_to(root).parts:
            here = step(here, part, path)
    except BaseException:
        os.close(here)
        raise
    return here


def step(folder: int, part: str, path: str) -> int:
    """One part further, closing the folder; a directory is made where there is nothing."""
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        inner = os.open(part, flags, dir_fd=folder)
    except FileNotFoundError:
        os.mkdir(part, 0o750, dir_fd=folder)
        inner = os.open(part, flags | os.O_DIRECTORY, dir_fd=folder)
        os.chmod(f"/proc/self/fd/{inner}", 0o7777 & (os.stat(folder).st_mode | 0o750))
    except NotADirectoryError as error:
        raise VolumeError(f"not a directory on the way to subPath {path}") from error
    if (os.fstat(inner).st_mode & 0o170000) == 0o120000:
        os.close(inner)
        raise VolumeError(f"subPath {path} changed while it was being mounted")
    os.close(folder)
    return inner
