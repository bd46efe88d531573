"""hostPath: a path of the node, which is as its type says, or is made. Source: Kubernetes documentation, "Volumes"."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from timonier.node.kubelet.volumes.contents import VolumeError

CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "is not a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "is not a directory"),
    "File": (stat.S_ISREG, "is not a file"),
    "FileOrCreate": (stat.S_ISREG, "is not a file"),
    "Socket": (stat.S_ISSOCK, "is not a socket"),
    "CharDevice": (stat.S_ISCHR, "is not a character device"),
    "BlockDevice": (stat.S_ISBLK, "is not a block device"),
}


def prepare(path: str, kind: str) -> Path:
    """The path, checked against its type, made where the type says so. Raises VolumeError."""
    where = Path(path)
    if not kind:
        return where
    if kind not in CHECKS:
        raise VolumeError(f"hostPath type check failed: {kind} is an invalid volume type")
    if kind == "DirectoryOrCreate":
        where.mkdir(mode=0o755, parents=True, exist_ok=True) if not where.exists() else None
    if kind == "FileOrCreate" and not where.exists():
        os.close(os.open(where, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    right, wrong = CHECKS[kind]
    try:
        mode = where.stat().st_mode
    except FileNotFoundError as error:
        raise VolumeError(f"hostPath type check failed: {path} {wrong}") from error
    if not right(mode):
        raise VolumeError(f"hostPath type check failed: {path} {wrong}")
    return where
