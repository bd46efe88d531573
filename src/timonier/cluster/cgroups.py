"""Control groups as the set of a cluster's processes: join, list, kill, remove. Version 1, hybrid and version 2.

Limits are the kubelet's business. Here a group only says which processes belong to a cluster, whatever became of their
parents, so that none is missed when the cluster ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
TRACKING = ("unified", "systemd", "pids", "memory")
"""On version 1, hierarchies that can track processes, best first; `unified` is version 2 beside version 1."""


@cache
def hierarchies() -> tuple[Path, ...]:
    """The mount points of all hierarchies; exactly one on version 2."""
    if (ROOT / "cgroup.controllers").exists():
        return (ROOT,)
    return tuple(sorted(path for path in ROOT.iterdir() if path.is_dir() and (path / "cgroup.procs").exists()))


def tracking() -> Path:
    """The hierarchy in which membership is read."""
    found = {path.name: path for path in hierarchies()}
    if len(found) == 1:
        return next(iter(found.values()))
    return next(found[name] for name in TRACKING if name in found)


def make(group: str) -> Path:
    """A group's directory in the tracking hierarchy; a process joins by writing its pid to `cgroup.procs` there."""
    path = tracking() / group.strip("/")
    path.mkdir(parents=True, exist_ok=True)
    return path


def join(group: str) -> None:
    """Move this process, and so all that it starts, into a group."""
    (make(group) / "cgroup.procs").write_text(str(os.getpid()))


def members(group: str) -> set[int]:
    """The process ids in a group and below, in any hierarchy."""
    found: set[int] = set()
    for path in below(group):
        with contextlib.suppress(OSError):
            found |= {int(line) for line in (path / "cgroup.procs").read_text().split()}
    return found - {0}


def below(group: str) -> Iterator[Path]:
    """A group's directories in every hierarchy, the deepest first."""
    for root in hierarchies():
        top = root / group.strip("/")
        if top.is_dir():
            yield from sorted((Path(folder) for folder, _, _ in os.walk(top)), key=lambda p: -len(p.parts))


def kill(group: str, *, limit: float = 10.0) -> None:
    """End every process of a group. Raises TimeoutError where some outlive SIGKILL for `limit` seconds."""
    deadline = time.monotonic() + limit
    while remaining := members(group) - {os.getpid()}:
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes of {group} do not end: {sorted(remaining)}")
        for pid in remaining:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def remove(group: str, *, limit: float = 5.0) -> None:
    """Remove a group and all below it; its processes must have ended. The kernel may need a moment to agree."""
    deadline = time.monotonic() + limit
    while left := list(below(group)):
        for path in left:
            with contextlib.suppress(OSError):
                path.rmdir()
        if time.monotonic() > deadline:
            raise TimeoutError(f"control groups stay: {', '.join(map(str, left))}")
        if any(path.exists() for path in left):
            time.sleep(0.02)
    parent = group.strip("/").split("/")[0]
    for root in hierarchies():
        with contextlib.suppress(OSError):
            (root / parent).rmdir()  # succeeds once no other cluster is below
