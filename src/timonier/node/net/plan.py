"""What this node's network should look like. Pure.

Every pod hangs on a veth pair of its own with a route to its address (CNI plugin `ptp`), and every other node's range
of pods is a route by way of that node. All that lies between, in the ranges of pods and of Services, ends here: a
packet for a cluster address never leaves the machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from timonier.api.types import core_v1

CNI_VERSION = "0.4.0"
LOOPBACK = "lo"
INTERNAL_IP = "InternalIP"


class Route(NamedTuple):
    """Where packets for a range go: by way of `gateway`, or into `device`."""

    cidr: str
    gateway: str = ""
    device: str = ""
    source: str = ""
    """Address from which this node's own packets are sent."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where this node stands: what does not change while it runs."""

    node_name: str
    node_ip: str
    cluster_cidr: str
    service_cidr: str


def routes(place: Place, nodes: Iterable[core_v1.Node]) -> set[Route]:
    """The routes that this node needs besides those that CNI makes for its own pods."""
    # A real device, since only a packet that has a route gets as far as the rules that translate or refuse it; and one
    # that is a dead end, for what they leave alone.
    wanted = {Route(cidr, device=LOOPBACK, source=place.node_ip)
              for cidr in (place.cluster_cidr, place.service_cidr) if cidr}
    for node in nodes:
        gateway = internal_ip(node)
        if node.metadata.name == place.node_name or not gateway or gateway == place.node_ip:
            continue
        wanted |= {Route(cidr, gateway=gateway, source=place.node_ip) for cidr in pod_cidrs(node)}
    return wanted


def pod_cidrs(node: core_v1.Node) -> list[str]:
    """The IPv4 ranges of a node's pods; none until it was given one."""
    return [str(network) for cidr in node.spec.podCIDRs or [node.spec.podCIDR] if (network := ipv4_range(cidr))]


def internal_ip(node: core_v1.Node) -> str:
    """The IPv4 address at which other nodes reach a node; empty until it reported one."""
    for address in node.status.addresses:
        if address.type == INTERNAL_IP and ipv4_range(address.address):
            return address.address
    return ""


def ipv4_range(text: str) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return None


def cni_configuration(pod_cidr: str, mtu: int, state_dir: str) -> dict[str, Any]:
    """The CNI network of this node's pods, for Debian's plugins: an address of the node's range, hostPorts."""
    return {
        "cniVersion": CNI_VERSION,
        "name": "timonier",
        "plugins": [
            {
                "type": "ptp",
                "mtu": mtu,
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": state_dir,
                    "ranges": [[{"subnet": pod_cidr}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
        ],
    }


def table(name: str, place: Place, own_cidrs: Iterable[str], nodes: Iterable[core_v1.Node]) -> str:
    """nft commands: what this node's pods send out of the cluster goes out under the node's address; what is for a pod
    that is nowhere is refused."""
    pods = [each for each in (place.cluster_cidr, *own_cidrs) if each]
    cluster = [*pods, place.service_cidr, place.node_ip, *map(internal_ip, nodes)]
    return (f"add table ip {name}\ndelete table ip {name}\ntable ip {name} {{\n"
            f"{interval_set('own', own_cidrs)}{interval_set('pods', pods)}{interval_set('cluster', cluster)}"
            "    chain postrouting {\n"
            "        type nat hook postrouting priority srcnat + 10\n"
            "        ip saddr @own ip daddr != @cluster ip daddr != 224.0.0.0/4 masquerade fully-random\n"
            "    }\n"
            "    chain decline {\n"  # a reset first: a socket that is just connecting does not heed ICMP (tcp_v4_err)
            "        meta l4proto tcp reject with tcp reset\n"
            "        reject with icmp host-unreachable\n"
            "    }\n"
            "    chain refuse {\n"
            f"        ip daddr @pods oifname {LOOPBACK} fib daddr type != local goto decline\n"
            "    }\n"
            "    chain forward { type filter hook forward priority filter; jump refuse; }\n"
            # what was translated on its way out has another device by now than the one that is seen here
            "    chain output { type filter hook output priority filter; ct status dnat return; jump refuse; }\n"
            "}\n")


def interval_set(name: str, members: Iterable[str]) -> str:
    listed = ", ".join(sorted({member for member in members if member}))
    elements = f" elements = {{ {listed} }};" if listed else ""
    return f"    set {name} {{ type ipv4_addr; flags interval; auto-merge;{elements} }}\n"
