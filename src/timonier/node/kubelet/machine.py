"""What this machine is and has: read from /proc, /sys and /etc. What it means for the node stands in `node_status`."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts that stay the same while it is up. Memory and disk in bytes."""

    cpus: int
    memory: int
    disk: int
    machine_id: str
    system_uuid: str
    boot_id: str
    kernel: str
    os_image: str
    architecture: str


@dataclass(frozen=True, slots=True)
class Load:
    """What is left right now. Fractions from 0 to 1."""

    memory_available: int
    disk_free: float
    inodes_free: float
    pids_free: float


def read(folder: Path) -> Machine:
    """The machine, with the file system that holds `folder`, or the nearest folder above that exists."""
    disk = os.statvfs(nearest(folder))
    return Machine(
        cpus=len(os.sched_getaffinity(0)), memory=memory_field("MemTotal"), disk=disk.f_blocks * disk.f_frsize,
        machine_id=text("/etc/machine-id"),
        system_uuid=text("/sys/class/dmi/id/product_uuid") or text("/etc/machine-id"),
        boot_id=text("/proc/sys/kernel/random/boot_id"), kernel=platform.release(), os_image=os_image(),
        architecture=ARCHITECTURES.get(platform.machine(), platform.machine()))


def load(folder: Path) -> Load:
    disk = os.statvfs(nearest(folder))
    threads = text("/proc/loadavg").split()[3].partition("/")[2]
    pid_max = int(text("/proc/sys/kernel/pid_max") or 32768)
    return Load(memory_field("MemAvailable"), disk.f_bavail / max(1, disk.f_blocks),
                disk.f_favail / disk.f_files if disk.f_files else 1.0, 1 - int(threads) / pid_max)


def nearest(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def memory_field(name: str) -> int:
    for line in text("/proc/meminfo").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def os_image() -> str:
    for line in text("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def text(path: str) -> str:
    """A file's text without blanks around it; empty where it cannot be read."""
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""
