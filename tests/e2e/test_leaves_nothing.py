"""`timonier delete` leaves the machine as it was: no process, mount, namespace, link, rule, control group or file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.cluster import RealCluster

pytestmark = pytest.mark.machine


def commands() -> set[str]:
    """The command lines of all processes but this one's own children."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if line and "leftover" in line:
            found.add(line)
    return found


def text(*command: str) -> set[str]:
    return set(subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.splitlines())


def observe() -> dict[str, set[str]]:
    return {
        "processes": commands(),
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "namespaces": set(os.listdir("/run/netns")) if Path("/run/netns").is_dir() else set(),
        "links": set(os.listdir("/sys/class/net")),
        "rules": text("nft", "list", "ruleset"),
        "routes": text("ip", "route"),
        "sysctls": {Path("/proc/sys/net/ipv4/ip_forward").read_text()},
        "cgroups": {str(folder) for folder in Path("/sys/fs/cgroup").rglob("*timonier*/*")},
        "files": {str(path) for root in ("/var/lib/timonier", "/run/timonier", "/var/lib/cni", "/run/netns")
                  for path in Path(root).rglob("*") if "e2e" not in str(path)},
    }


def test_deleting_a_busy_cluster_leaves_nothing(tmp_path, standins: Path) -> None:
    made = RealCluster("leftover", tmp_path / "kubeconfig")
    made.timonier("delete", "--name", made.name)
    before = observe()
    try:
        made.start("--nodes", "2")
        made.timonier("image", "load", "--name", made.name, str(standins))
        made.kubectl("create", "deployment", "web", "--image=nginx:1.12.2", "--replicas=4")
        made.kubectl("expose", "deployment", "web", "--port=80", "--type=NodePort")
        made.kubectl("rollout", "status", "deployment/web", "--timeout=60s", timeout=70)
    finally:
        made.timonier("delete", "--name", made.name)
    after = observe()
    assert {what: after[what] - before[what] for what in after} == {what: set() for what in after}
    assert {what: before[what] - after[what] for what in before} == {what: set() for what in before}
    assert not made.kubeconfig.exists() or "leftover" not in made.kubeconfig.read_text()
