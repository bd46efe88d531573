"""mount(2) and umount2(2), and the table of mounts. Nothing here knows what is mounted or why."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from pathlib import Path

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 4096, 16384, 1 << 18, 1 << 20
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8

libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount; raises OSError."""
    result = libc.mount(source.encode(), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags),
                        options.encode() or None)
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(target))


def unmount(target: Path) -> None:
    """Detach everything that is mounted on a path; fine where nothing is. Raises OSError."""
    while True:
        if libc.umount2(os.fsencode(target), MNT_DETACH | UMOUNT_NOFOLLOW) == 0:
            continue
        code = ctypes.get_errno()
        if code in (errno.EINVAL, errno.ENOENT):
            return
        raise OSError(code, os.strerror(code), str(target))


def is_mounted(target: Path) -> bool:
    return str(target) in mounted_below(target)


def mounted_below(folder: Path) -> list[str]:
    """Mount points at or below a folder, the deepest first."""
    inside = str(folder).rstrip("/")
    points = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            point = unescape(line.split(" ", 5)[4])
            if point == inside or point.startswith(inside + "/"):
                points.append(point)
    return sorted(points, key=len, reverse=True)


def unescape(text: str) -> str:
    r"""A path of mountinfo, in which `\040` is a blank."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
