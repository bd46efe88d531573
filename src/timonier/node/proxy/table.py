"""The constant part of the ruleset, in nft's language. Pure.

A packet's way: `guard` (source ranges of load balancers) → `dispatch` (frontend → endpoint) → the routing decision →
`refuse` (what was for a frontend and is still) → `remember` (affinity), masquerade. The slot that was drawn stays in
the mark of the connection: nft has no other type for a number in a key. nft 1.0.6 wants `;` before `}`.
"""

from __future__ import annotations

from collections.abc import Iterable

from timonier.node.proxy.elements import (
    ADMITTED,
    DROPPED,
    ENDPOINTS,
    GUARDED,
    HAIRPINS,
    KEEP,
    PICK,
    REFUSED,
    SERVICES,
    SHORTCUT,
    SHORTCUT_ENDPOINTS,
    SHORTCUTS,
    STICKY,
)

MASQUERADE = 0x4000
"""Bit of a packet's mark: its source is replaced when it leaves. The same bit as kube-proxy's."""
CLIENTS_REMEMBERED = 1 << 18
KEY = "ip daddr . meta l4proto . th dport"
ORIGINAL = "ct original ip daddr . meta l4proto . ct original proto-dst"
AFFINITY = "affinity"
HOOKS = ("guard-in", "guard-out", "dispatch", "prerouting", "output", "refuse", "refuse-in", "refuse-forward",
         "refuse-out", "input", "postrouting")
"""Chains that always have rules; a table in which one has none is not whole."""

RULES = f"""
    map {SERVICES} {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
    map {SHORTCUTS} {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
    map {ENDPOINTS} {{ type ipv4_addr . inet_proto . inet_service . mark : ipv4_addr . inet_service; }}
    map {SHORTCUT_ENDPOINTS} {{ type ipv4_addr . inet_proto . inet_service . mark : ipv4_addr . inet_service; }}
    set {GUARDED} {{ type ipv4_addr . inet_proto . inet_service; }}
    set {ADMITTED} {{ type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval; }}
    set {REFUSED} {{ type ipv4_addr . inet_proto . inet_service; }}
    set {DROPPED} {{ type ipv4_addr . inet_proto . inet_service; }}
    set {HAIRPINS} {{ type ipv4_addr . ipv4_addr; }}
    map {AFFINITY} {{
        type ipv4_addr . ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service;
        size {CLIENTS_REMEMBERED}; flags dynamic,timeout;
    }}

    chain guard {{ {KEY} @{GUARDED} {KEY} . ip saddr != @{ADMITTED} drop; }}
    chain guard-in {{ type filter hook prerouting priority dstnat - 10; jump guard; }}
    chain guard-out {{ type filter hook output priority -110; jump guard; }}

    chain dispatch {{
        ip saddr @here {KEY} vmap @{SHORTCUTS}
        {KEY} vmap @{SERVICES}
    }}
    chain prerouting {{ type nat hook prerouting priority dstnat; jump dispatch; }}
    chain output {{ type nat hook output priority -100; jump dispatch; }}

    chain decline {{
        meta l4proto tcp reject with tcp reset
        reject with icmp port-unreachable
    }}
    chain refuse {{
        {KEY} @{DROPPED} drop
        {KEY} @{REFUSED} goto decline
        ip daddr @unclaimed goto decline
    }}
    chain refuse-in {{ type filter hook input priority filter; jump refuse; }}
    chain refuse-forward {{ type filter hook forward priority filter; jump refuse; }}
    chain refuse-out {{ type filter hook output priority filter; jump refuse; }}

    chain remember {{ }}
    chain input {{ type nat hook input priority 100; jump remember; }}
    chain postrouting {{
        type nat hook postrouting priority srcnat
        jump remember
        meta mark & {MASQUERADE:#x} == {MASQUERADE:#x} meta mark set meta mark & {0xFFFFFFFF ^ MASQUERADE:#x} \
masquerade fully-random
        ct status dnat ip saddr . ip daddr @{HAIRPINS} masquerade fully-random
    }}
"""


def replacement(table: str, here: Iterable[str], unclaimed: Iterable[str]) -> str:
    """Commands that put an empty table in the place of whatever was there, to be followed by what fills it.

    `here`: addresses and ranges on this node; `unclaimed`: ranges in which nothing but frontends answers.
    """
    return (f"add table ip {table}\ndelete table ip {table}\ntable ip {table} {{\n"
            f"{ranges('here', here)}{ranges('unclaimed', unclaimed)}{RULES}}}\n")


def ranges(name: str, members: Iterable[str]) -> str:
    listed = ", ".join(sorted(members))
    filled = f" elements = {{ {listed} }};" if listed else ""
    return f"    set {name} {{ type ipv4_addr; flags interval; auto-merge;{filled} }}\n"


def chain(table: str, name: str) -> str:
    """Commands that make the chain which draws among N endpoints: `pick-N`, `keep-N` or `shortcut-N`."""
    kind, count = name.rsplit("-", 1)
    endpoints = SHORTCUT_ENDPOINTS if f"{kind}-" == SHORTCUT else ENDPOINTS
    rules = [
        f"dnat ip to ip saddr . {KEY} map @{AFFINITY}",
        f"ct mark set numgen random mod {int(count)}",
        f"dnat ip to {KEY} . ct mark map @{endpoints}",
    ]
    if f"{kind}-" == PICK:  # the endpoint may be on another node, whose answer has to come back this way
        rules.insert(0, f"ip saddr != @here meta mark set meta mark | {MASQUERADE:#x}")
    assert f"{kind}-" in (PICK, KEEP, SHORTCUT)
    return f"add chain ip {table} {name}\nflush chain ip {table} {name}\n" + "".join(
        f"add rule ip {table} {name} {rule}\n" for rule in rules)


def sticky_set(table: str, name: str) -> str:
    """Commands that make the set of frontends whose clients are remembered for as many seconds as its name says."""
    seconds = int(name.removeprefix(STICKY))
    learn = (f"ct status dnat {ORIGINAL} @{name} update @{AFFINITY} {{ ip saddr . {ORIGINAL} "
             f"timeout {seconds}s : ip daddr . th dport }}")
    return f"add set ip {table} {name} {{ type ipv4_addr . inet_proto . inet_service; }}\n" + "".join(
        f"add rule ip {table} remember meta l4proto {protocol} {learn}\n" for protocol in ("tcp", "udp", "sctp"))
