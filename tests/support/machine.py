"""The machine under the tests that are marked `machine`: whether it can run them, and what a run left on it.

Whatever a run makes outside of pytest's folders has a name that starts with `PREFIX`: namespaces, control groups,
clusters, containerd's folders. So runs do not meet, and what one has left can be told from everything else.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from timonier.cluster import cgroups
from timonier.cluster.containerd import cni_plugins
from timonier.cluster.spec import STATE, ClusterError

RUN = f"test-{os.getpid()}"
PREFIX = f"timonier-{RUN}"
"""A cluster is named `RUN-…`, which makes its namespaces and groups start with `PREFIX` too."""
OF_ANY_RUN = re.compile(r"timonier[-/]test-([0-9]+)")
PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "ip", "nft", "nsenter", "mount", "script")
NAMESPACES = Path("/run/netns")
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


@cache
def lacks() -> str:
    """What this machine lacks to run real containers and packets; empty where it lacks nothing."""
    wrong = [f"no program {name!r}" for name in PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0:
        wrong.append("not root")
    elif not wrong and subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True,
                                      check=False, timeout=30).returncode:
        wrong.append("namespaces cannot be made here")
    try:
        cni_plugins()
    except ClusterError as error:
        wrong.append(str(error))
    return "; ".join(wrong)


def enter_namespace(path: str | Path) -> None:
    """Move this thread, and what it starts, to another network namespace."""
    file = os.open(path, os.O_RDONLY)
    try:
        if LIBC.setns(file, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {path}")
    finally:
        os.close(file)


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread, and what it starts, in another network namespace for a while."""
    before = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
    enter_namespace(NAMESPACES / namespace)
    try:
        yield
    finally:
        enter_namespace(f"/proc/self/fd/{before}")
        os.close(before)


def made_by_tests() -> dict[str, set[int]]:
    """What runs of these tests have on the machine now, and the process ids of the runs that made it."""
    found = [str(path) for path in (*NAMESPACES.glob("timonier-test-*"), *STATE.glob("test-*"), *groups())]
    found += [*mountpoints(), *commands()]
    return {what: {int(run) for run in OF_ANY_RUN.findall(what)} for what in found if OF_ANY_RUN.search(what)}


def left_by(run: int) -> list[str]:
    """What the run of a process id has on the machine now."""
    return sorted(what for what, runs in made_by_tests().items() if run in runs)


def groups() -> Iterator[Path]:
    for tree in cgroups.hierarchies():
        yield from tree.glob("timonier-test-*")
        yield from tree.glob("timonier/test-*")


def mountpoints() -> list[str]:
    """All mount points, in the order in which they were made."""
    return [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def unmount(folder: str | Path) -> None:
    """Unmount a folder and all that is mounted below it."""
    for mountpoint in reversed(mountpoints()):
        if mountpoint == str(folder) or mountpoint.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", mountpoint], check=True, capture_output=True, timeout=30)


def commands() -> Iterator[str]:
    """The command lines of all processes but this one."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(folder.name) != os.getpid():
                yield (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def sweep() -> None:
    """Remove what runs have left that were killed."""
    for run in {run for runs in made_by_tests().values() for run in runs if not Path(f"/proc/{run}").exists()}:
        for cluster in STATE.glob(f"test-{run}-*"):
            subprocess.run([sys.executable, "-m", "timonier", "delete", "--name", cluster.name], check=False,
                           capture_output=True, timeout=120)
        remove(run)


def remove(run: int) -> None:
    """End every process in a run's own control group, and remove it with the run's mounts and namespaces."""
    name = f"timonier-test-{run}"
    cgroups.kill(name)
    cgroups.remove(name)
    for mountpoint in mountpoints():
        if re.search(rf"{name}\b", mountpoint) and not mountpoint.startswith(str(NAMESPACES)):
            unmount(mountpoint)
    for namespace in NAMESPACES.glob(f"{name}-*"):
        subprocess.run(["ip", "netns", "delete", namespace.name], check=False, capture_output=True, timeout=30)
