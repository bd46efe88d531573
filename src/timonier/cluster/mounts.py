"""What is mounted below a folder, and taking it down."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8


def below(folder: Path) -> list[Path]:
    """Mount points at or below a folder, the deepest and latest first."""
    prefix = str(folder)
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point == prefix or point.startswith(prefix + "/"):
            found.append(Path(point))
    return list(reversed(found))


def unmount(folder: Path) -> None:
    """Take down every mount at or below a folder. Raises OSError where the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    for point in below(folder):
        if libc.umount2(os.fsencode(point), MNT_DETACH | UMOUNT_NOFOLLOW):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(point))
