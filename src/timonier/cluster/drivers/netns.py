"""Nodes as network namespaces: one bridge on the machine, one veth pair and one namespace a node.

The machine's routes, sysctls and firewall stay as they are; the bridge's subnet is all that it gets to know, and
nodes have no way out (docs/decisions/0009), which they are told at once. What is made here is found again by name, so
that half of it can be completed or removed.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from pathlib import Path

from timonier.cluster.spec import ClusterError, ClusterSpec, NodeSpec

LIMIT = 30.0
"""Seconds that one `ip` command may take."""


def create(spec: ClusterSpec) -> None:
    """Make the bridge, the namespaces and their links, as far as they are missing."""
    if not exists(spec.bridge):
        batch([f"link add {spec.bridge} type bridge",
               f"addr add {spec.gateway}/{spec.subnet.prefixlen} dev {spec.bridge}",
               f"link set {spec.bridge} up"])
    missing = [node for node in spec.all_nodes if not (node.netns_path.exists() and exists(node.link))]
    for node in missing:
        remove_node(node)
    batch([f"netns add {node.netns}" for node in missing])
    batch([line for node in missing for line in outside(spec, node)])
    machine = addresses_of_machine(spec) if missing else []
    for node in missing:
        batch([f"addr add {node.address}/{spec.subnet.prefixlen} dev eth0", "link set eth0 up", "link set lo up",
               "route add unreachable default", *(f"route add {address} via {spec.gateway}" for address in machine)],
              netns=node.netns)


def addresses_of_machine(spec: ClusterSpec) -> list[str]:
    """Where nodes reach the machine beside its address on the bridge. Everything else is refused at once, rather than
    sent where nobody forwards it: who asks for an image or a name from outside is not kept waiting."""
    shown = json.loads(subprocess.run(["ip", "-json", "-4", "address", "show", "scope", "global"], text=True,
                                      capture_output=True, timeout=LIMIT, check=True).stdout)
    found = {one["local"] for link in shown for one in link.get("addr_info", ()) if "local" in one}
    return sorted(address for address in found if ipaddress.ip_address(address) not in spec.subnet)


def outside(spec: ClusterSpec, node: NodeSpec) -> list[str]:
    return [f"link add {node.link} type veth peer name eth0 netns {node.netns}",
            f"link set {node.link} master {spec.bridge} up"]


def delete(spec: ClusterSpec) -> None:
    """Remove what `create` made; what is not there is not missed."""
    for node in spec.all_nodes:
        remove_node(node)
    if exists(spec.bridge):
        batch([f"link del {spec.bridge}"])


def remove_node(node: NodeSpec) -> None:
    if exists(node.link):
        batch([f"link del {node.link}"])
    if node.netns_path.exists():
        batch([f"netns del {node.netns}"])


def exists(link: str) -> bool:
    return Path("/sys/class/net", link).exists()


def enter(node: NodeSpec, command: list[str]) -> list[str]:
    """A command that runs inside the node's network namespace; mounts and control groups stay the machine's."""
    return ["nsenter", f"--net={node.netns_path}", *command]


def batch(lines: list[str], *, netns: str = "") -> None:
    """Run lines of `ip` in one process. Raises ClusterError with what `ip` said."""
    if not lines:
        return
    command = ["ip", *(["-netns", netns] if netns else []), "-batch", "-"]
    done = subprocess.run(command, input="\n".join(lines) + "\n", text=True, capture_output=True, timeout=LIMIT,
                          check=False)
    if done.returncode:
        raise ClusterError(f"the network could not be set up: {done.stderr.strip()} (ip {lines[0]} …)")
