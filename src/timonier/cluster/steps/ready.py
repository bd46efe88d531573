"""Waiting until the cluster is what was asked for: every node Ready, and DNS answering on each."""

from __future__ import annotations

import secrets
import socket
import struct
import time

from timonier.api.types import core_v1
from timonier.client.client import Client
from timonier.cluster import api
from timonier.cluster.spec import ClusterError, ClusterSpec, NodeSpec
from timonier.cluster.steps.step import Context

QUERY_LIMIT = 0.1
"""Seconds that one DNS question waits for its answer before it is asked again."""


class WaitForNodes:
    title = "Waiting for nodes to be Ready"

    def do(self, context: Context) -> None:
        wanted = {node.name for node in running_nodes(context.spec)}

        async def all_ready(client: Client) -> None:
            listed = await client.list(core_v1.Node)
            missing = wanted - {node.metadata.name for node in listed.items if is_ready(node)}
            if not missing:
                return
            async for event in client.watch(core_v1.Node, resourceVersion=listed.metadata.resourceVersion):
                if is_ready(event.object):
                    missing.discard(event.object.metadata.name)
                if not missing:
                    return

        api.call(context.spec, all_ready, limit=context.timeout)

    def undo(self, context: Context) -> None:
        """Waiting leaves nothing."""


class WaitForDns:
    title = "Waiting for DNS to answer"

    def do(self, context: Context) -> None:
        deadline = time.monotonic() + context.timeout
        name = f"kubernetes.default.svc.{context.spec.domain}"
        for node in running_nodes(context.spec):
            while resolve(node.address, name) != [context.spec.service_gateway]:
                if time.monotonic() > deadline:
                    raise ClusterError(f"DNS of {node.name} does not answer for {name}; see why: timonier logs "
                                       f"--name {context.spec.name} agent-{node.name}")
                time.sleep(api.PAUSE)

    def undo(self, context: Context) -> None:
        """Waiting leaves nothing."""


def running_nodes(spec: ClusterSpec) -> list[NodeSpec]:
    return [node for node in spec.all_nodes if node.name not in spec.stopped]


def is_ready(node: core_v1.Node) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)


def resolve(server: str, name: str) -> list[str]:
    """The IPv4 addresses that a DNS server gives for a name; empty where it gives none or no answer in time."""
    number = secrets.randbits(16)
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    query = struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + question + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(QUERY_LIMIT)
        try:
            probe.connect((server, 53))
            probe.send(query)
            answer = probe.recv(512)
        except OSError:
            return []
    if len(answer) < len(query) or answer[:2] != query[:2] or answer[3] & 0x0F:
        return []
    addresses, at = [], len(query)
    for _ in range(struct.unpack(">H", answer[6:8])[0]):
        at += 2 if answer[at] & 0xC0 else answer.index(b"\0", at) - at + 1
        kind, _, _, size = struct.unpack(">HHIH", answer[at:at + 10])
        if kind == 1:
            addresses.append(socket.inet_ntoa(answer[at + 10:at + 10 + size]))
        at += 10 + size
    return addresses
