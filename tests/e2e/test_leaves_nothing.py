"""`timonier delete` leaves the machine as it was: no process, mount, namespace, link, rule, route, cgroup or file.

Clusters of somebody else, and other runs of these tests, may change meanwhile: what bears their names is not looked at.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from support import machine
from support.cluster import RealCluster

from timonier.cluster import cgroups
from timonier.cluster.spec import RUN, STATE

pytestmark = pytest.mark.machine

FILES = (STATE, RUN, Path("/run/netns"), Path("/var/lib/containerd"), Path("/var/lib/kubelet"),
         Path("/var/log/pods"), Path("/var/log/containers"))
NAMELESS_FILES = (Path("/run/containerd"), Path("/var/lib/cni"))
"""Where nothing tells whose things are: compared only where no other containerd runs."""


def lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.splitlines()


def tree(folders: Iterable[Path]) -> list[str]:
    return [str(path) for folder in folders if folder.is_dir() for path in (folder, *folder.rglob("*"))]


def observe(name: str) -> dict[str, list[str]]:
    return {
        "processes": [command for command in machine.commands() if name in command],
        "mounts": machine.mountpoints(),
        "links": tree([Path("/sys/class/net")]),
        "rules": lines("nft", "--stateless", "list", "ruleset"),
        "routes": lines("ip", "route", "show", "table", "all"),
        "forwarding": lines("cat", "/proc/sys/net/ipv4/ip_forward"),
        "cgroups": [str(path) for root in cgroups.hierarchies() for path in (root / "timonier").rglob("*/")],
        "files": tree(FILES),
        "nameless files": tree(NAMELESS_FILES),
    }


def foreign_clusters(mine: str) -> dict[str, int]:
    """The other clusters on this machine, each with its index."""
    specs = [json.loads(file.read_text()) for file in STATE.glob("*/cluster.json")]
    return {spec["name"]: spec["index"] for spec in specs if spec["name"] != mine}


def foreign_containerds(mine: str) -> list[str]:
    return [command for command in machine.commands() if command.startswith("containerd") and mine not in command]


def marks(foreign: dict[str, int]) -> re.Pattern[str]:
    """What tells that something belongs to another cluster or another run: a name, a link's, or an address."""
    found = [rf"timonier[-/]test-(?!{machine.RUN.removeprefix('test-')}\b)"]
    for name, index in foreign.items():
        found += [rf"timonier[-/]{name}\b", rf"\btimonier{index}(n[0-9]+)?\b", rf"\b10\.89\.{index}\."]
    return re.compile("|".join(found))


def test_deleting_a_busy_cluster_leaves_nothing(tmp_path: Path, standins: Path) -> None:
    made = RealCluster("leftover", tmp_path)
    foreign, before = foreign_clusters(made.name), observe(made.name)
    with made.running("--nodes", "2", images=standins):
        made.kubectl("create", "deployment", "web", "--image=nginx:1.12.2", "--replicas=4")
        made.kubectl("expose", "deployment", "web", "--port=80", "--type=NodePort")
        made.kubectl("rollout", "status", "deployment/web", "--timeout=60s", timeout=70)
        during = observe(made.name)
    foreign, after = foreign | foreign_clusters(made.name), observe(made.name)
    not_ours = marks(foreign)
    for what in before:
        was, now = (sorted(line for line in seen[what] if not not_ours.search(line)) for seen in (before, after))
        if what != "nameless files":
            assert now == was, what
        elif not foreign and not foreign_containerds(made.name):
            assert set(now) - set(was) == set(), what
    for what in ("processes", "mounts", "links", "routes", "cgroups", "files", "nameless files"):
        assert [line for line in during[what] if line not in before[what]], f"{what} of a cluster would not be seen"
    assert not made.kubeconfig.exists() or made.name not in made.kubeconfig.read_text()
