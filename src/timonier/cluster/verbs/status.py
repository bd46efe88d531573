"""status: show a cluster's processes and nodes.

Exit code 0 when all is well, 1 when something is not, 2 where there is no such cluster.
"""

from __future__ import annotations

import argparse
import json

from timonier.api.types import core_v1
from timonier.client.client import Client
from timonier.cluster import api, supervisor
from timonier.cluster.components import components
from timonier.cluster.spec import ClusterError, ClusterSpec, load
from timonier.cluster.steps.ready import is_ready
from timonier.cluster.verbs.common import name_argument, say

LIMIT = 5.0


def arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    spec = load(args.name)
    if spec is None:
        say(f'There is no cluster "{args.name}"' if args.output == "text" else json.dumps({"name": args.name}))
        return 2
    found = observe(spec)
    if args.output == "json":
        say(json.dumps({"name": spec.name, "server": spec.server, **found}))
    else:
        show(spec, found)
    healthy = all(pid for pid in found["processes"].values()) and all(
        state == "Ready" for name, state in found["nodes"].items() if name not in spec.stopped)
    return 0 if healthy and found["nodes"] else 1


def observe(spec: ClusterSpec) -> dict[str, dict[str, object]]:
    """Each process with its pid (None where it should run and does not), each node with its state."""
    pids = supervisor.component_pids(spec)
    processes: dict[str, object] = {"supervisor": supervisor.running(spec)}
    processes |= {component.name: pids.get(component.name) for component in components(spec)}
    return {"processes": processes, "nodes": nodes(spec)}


def nodes(spec: ClusterSpec) -> dict[str, object]:
    async def look(client: Client) -> dict[str, object]:
        listed = await client.list(core_v1.Node)
        return {node.metadata.name: "Ready" if is_ready(node) else "NotReady" for node in listed.items}

    if supervisor.component_pids(spec).get("apiserver") is None:
        return {}
    try:
        return api.call(spec, look, limit=LIMIT)
    except ClusterError:
        return {}


def show(spec: ClusterSpec, found: dict[str, dict[str, object]]) -> None:
    say(f'cluster "{spec.name}": API server at {spec.server}')
    for name, pid in found["processes"].items():
        say(f"  {name:<24} {f'running (pid {pid})' if pid else 'not running'}")
    for node in spec.all_nodes:
        state = "stopped" if node.name in spec.stopped else found["nodes"].get(node.name, "unknown")
        say(f"  {node.name:<24} {state}, {node.address}")
