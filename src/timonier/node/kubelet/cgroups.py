"""Cgroups of pods: one below `kubepods`, by QoS class, that holds a pod's containers and its limits.

Version 1 (one tree a controller), version 2 (one tree) and systemd's slices; the runtime puts containers below.
How much a pod gets stands in `resources`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from timonier.api.types import core_v1
from timonier.node.kubelet import resources as res

log = logging.getLogger(__name__)

MOUNT = Path("/sys/fs/cgroup")
V1_CONTROLLERS = ("cpu", "memory", "pids")
V2_CONTROLLERS = ("cpu", "memory", "pids")
QOS_FOLDERS = {res.GUARANTEED: "", res.BURSTABLE: "burstable", res.BEST_EFFORT: "besteffort"}
POD_FOLDER = re.compile(r"pod([0-9A-Za-z._-]+)")
REMOVE_ATTEMPTS = 20
REMOVE_PAUSE = 0.05


class Cgroups(Protocol):
    """Where pods' cgroups are, and how they come and go."""

    unified: bool

    def parent(self, pod: core_v1.Pod) -> str:
        """The cgroup of a pod, as the runtime is told it."""

    async def ensure(self, pod: core_v1.Pod) -> None:
        """Make the pod's cgroup with its limits; fine where it exists."""

    async def remove(self, uid: str) -> None:
        """Kill what is left in the pod's cgroup and remove it; fine where there is none."""

    def existing(self) -> set[str]:
        """The uids of the pods that have a cgroup."""


def is_unified(mount: Path = MOUNT) -> bool:
    """Whether the machine has cgroup v2 alone: its controllers are listed at the top."""
    return (mount / "cgroup.controllers").exists()


def make(driver: str, root: str, pids_limit: int) -> Cgroups:
    if driver == "systemd":
        return SystemdCgroups(root)
    return FileCgroups(MOUNT, root, is_unified(), pids_limit)


class NoCgroups:
    """For a runtime that runs nothing."""

    unified = False

    def parent(self, pod: core_v1.Pod) -> str:
        return f"/kubepods/pod{pod.metadata.uid}"

    async def ensure(self, pod: core_v1.Pod) -> None:
        return

    async def remove(self, uid: str) -> None:
        return

    def existing(self) -> set[str]:
        return set()


class FileCgroups:
    """Cgroups made as directories, of either version."""

    def __init__(self, mount: Path, root: str, unified: bool, pids_limit: int = -1) -> None:
        self.mount, self.unified, self.pids_limit = mount, unified, pids_limit
        self.base = "/" + f"{root.strip('/')}/kubepods".lstrip("/")

    def parent(self, pod: core_v1.Pod) -> str:
        folder = QOS_FOLDERS[res.qos_class(pod)]
        return "/".join(part for part in (self.base, folder, f"pod{pod.metadata.uid}") if part)

    async def ensure(self, pod: core_v1.Pod) -> None:
        path = self.parent(pod)
        for tree in self._trees():
            self._make(tree, path)
        asked, qos = res.pod_amounts(pod), res.qos_class(pod)
        limits = {"cpu.shares": res.shares(asked.cpu_request), "cpu.cfs_quota_us": res.quota(asked.cpu_limit) or -1,
                  "memory.limit_in_bytes": asked.memory_limit or -1, "pids.max": self.pids_limit}
        if qos == res.BEST_EFFORT:
            limits |= {"cpu.shares": res.MIN_SHARES, "cpu.cfs_quota_us": -1, "memory.limit_in_bytes": -1}
        self._write_limits(path, limits)
        self._weigh_classes()

    def _weigh_classes(self) -> None:
        """Give best-effort pods together as little as one of them, and burstable ones the sum of what they have."""
        name = "cpu.weight" if self.unified else "cpu.shares"
        tree = (self.mount if self.unified else self.mount / "cpu") / self.base.strip("/")
        least, most = (1, 10_000) if self.unified else (res.MIN_SHARES, res.MAX_SHARES)
        total = sum(number(pod / name) for pod in (tree / "burstable").glob("pod*"))
        if (tree / "burstable").is_dir():
            put(tree / "burstable" / name, str(min(most, max(least, total))))
        if (tree / "besteffort").is_dir():
            put(tree / "besteffort" / name, str(least))

    async def remove(self, uid: str) -> None:
        for attempt in range(REMOVE_ATTEMPTS):
            left = [path for path in self._pod_folders() if path.name == f"pod{uid}"]
            for path in left:
                kill_all(path)
                remove_tree(path)
            if not any(path.exists() for path in left):
                self._weigh_classes()
                return
            await asyncio.sleep(REMOVE_PAUSE * (1 + attempt / 4))
        log.warning("cgroup cannot be removed", extra={"pod_uid": uid})

    def existing(self) -> set[str]:
        return {found[1] for path in self._pod_folders() if (found := POD_FOLDER.fullmatch(path.name))}

    def remove_base(self) -> None:
        """Remove `kubepods` itself, once no pod is left."""
        for tree in self._every_tree():
            remove_tree(tree / self.base.strip("/"))

    def _trees(self) -> list[Path]:
        """The hierarchies in which pods' limits are set."""
        if self.unified:
            return [self.mount]
        return [self.mount / name for name in V1_CONTROLLERS if (self.mount / name).is_dir()]

    def _every_tree(self) -> list[Path]:
        """Every hierarchy, since the runtime makes a container's cgroup in all of them."""
        if self.unified:
            return [self.mount]
        seen: dict[Path, None] = {}
        for entry in sorted(self.mount.iterdir()):
            if entry.is_dir():
                seen[entry.resolve()] = None
        return list(seen)

    def _make(self, tree: Path, path: str) -> None:
        here = tree
        for part in path.strip("/").split("/"):
            if self.unified:
                enable(here)
            here = here / part
            here.mkdir(exist_ok=True)

    def _write_limits(self, path: str, limits: Mapping[str, int]) -> None:
        relative = path.strip("/")
        if self.unified:
            quota = limits["cpu.cfs_quota_us"]
            values = {"cpu.weight": str(res.weight(limits["cpu.shares"])),
                      "cpu.max": f"{'max' if quota < 0 else quota} {res.CPU_PERIOD}",
                      "memory.max": unlimited(limits["memory.limit_in_bytes"]),
                      "pids.max": unlimited(limits["pids.max"])}
            for name, value in values.items():
                put(self.mount / relative / name, value)
            return
        for name, limit in limits.items():
            tree = self.mount / name.partition(".")[0] / relative
            put(tree / name, unlimited(limit) if name == "pids.max" else str(limit))

    def _pod_folders(self) -> Iterator[Path]:
        for tree in self._every_tree():
            base = tree / self.base.strip("/")
            for folder in (base, base / "burstable", base / "besteffort"):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    yield from [path for path in folder.iterdir() if POD_FOLDER.fullmatch(path.name)]


class SystemdCgroups:
    """Slices of systemd: the runtime, set to the same driver, makes them as it starts containers."""

    def __init__(self, root: str) -> None:
        self.unified = is_unified()
        prefix = root.strip("/").removesuffix(".slice")
        self.base = f"{prefix}-kubepods" if prefix else "kubepods"

    def slice(self, uid: str, folder: str) -> str:
        middle = f"-{folder}" if folder else ""
        return f"{self.base}{middle}-pod{uid.replace('-', '_')}.slice"

    def parent(self, pod: core_v1.Pod) -> str:
        return self.slice(pod.metadata.uid, QOS_FOLDERS[res.qos_class(pod)])

    async def ensure(self, pod: core_v1.Pod) -> None:
        asked = res.pod_amounts(pod)
        settings = [f"CPUWeight={res.weight(res.shares(asked.cpu_request))}" if self.unified else
                    f"CPUShares={res.shares(asked.cpu_request)}"]
        if asked.cpu_limit:
            settings.append(f"CPUQuota={asked.cpu_limit / 10:g}%")
        if asked.memory_limit:
            settings.append(f"{'MemoryMax' if self.unified else 'MemoryLimit'}={asked.memory_limit}")
        await systemctl("set-property", "--runtime", self.parent(pod), *settings)

    async def remove(self, uid: str) -> None:
        for folder in QOS_FOLDERS.values():
            await systemctl("stop", self.slice(uid, folder))

    def existing(self) -> set[str]:
        root = MOUNT if self.unified else MOUNT / "systemd"
        found = (re.search(r"-pod([0-9A-Za-z_]+)\.slice$", path.name)
                 for path in root.glob(f"**/{self.base}*-pod*.slice"))
        return {match[1].replace("_", "-") for match in found if match}


async def systemctl(*arguments: str) -> None:
    """Run systemctl; what it refuses is logged, since the runtime's own limits hold all the same."""
    process = await asyncio.create_subprocess_exec(
        "systemctl", *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(10):
            _, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        errors = b"no answer within 10 seconds"
        await process.wait()
    if process.returncode:
        log.warning("systemctl failed", extra={"arguments": arguments, "error": errors.decode(errors="replace")})


def unlimited(number: int) -> str:
    return "max" if number < 0 else str(number)


def number(file: Path) -> int:
    """What a control file holds; 0 where it is gone."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def put(file: Path, value: str) -> None:
    """Write a control file; a kernel without that controller has none, which is fine."""
    try:
        file.write_text(value)
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("cgroup limit cannot be set", extra={"file": str(file), "value": value, "error": str(error)})


def enable(folder: Path) -> None:
    """Hand the controllers on to a cgroup's children (v2)."""
    try:
        available = (folder / "cgroup.controllers").read_text().split()
        enabled = (folder / "cgroup.subtree_control").read_text().split()
        missing = [f"+{name}" for name in V2_CONTROLLERS if name in available and name not in enabled]
        if missing:
            (folder / "cgroup.subtree_control").write_text(" ".join(missing))
    except OSError as error:
        log.warning("cgroup controllers cannot be enabled", extra={"cgroup": str(folder), "error": str(error)})


def kill_all(folder: Path) -> None:
    for path in (folder, *folder.glob("**/")):
        with contextlib.suppress(OSError):
            for pid in (path / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)


def remove_tree(folder: Path) -> None:
    """Remove a cgroup and those below it; what is busy stays."""
    for path in sorted((path for path in folder.glob("**/")), key=lambda p: len(p.parts), reverse=True):
        with contextlib.suppress(OSError):
            path.rmdir()
