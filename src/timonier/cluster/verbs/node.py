"""node: stop and start single nodes, as if their machines were switched off and on again; delete the last one."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import signal

from timonier.api.types import core_v1
from timonier.cluster import api, containerd, mounts, supervisor
from timonier.cluster.drivers import netns
from timonier.cluster.spec import ClusterError, ClusterSpec, NodeSpec
from timonier.cluster.steps import START, Context, processes
from timonier.cluster.verbs.common import existing, name_argument, say, step

ACTIONS = {
    "list": "list the cluster's nodes with their addresses",
    "stop": "end all that runs on a node at once, as if its machine were switched off",
    "start": "start a node that was stopped",
    "delete": "take the last node out of the cluster",
}
LIMIT = 10.0
"""Seconds that the API server has to answer."""


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="|".join(ACTIONS), required=True)
    for action, summary in ACTIONS.items():
        own = actions.add_parser(action, help=summary, description=summary)
        name_argument(own)
        if action != "list":
            own.add_argument("node", help="the node's name")


def run(args: argparse.Namespace) -> int:
    spec = existing(args.name)
    if args.action == "list":
        for each in spec.all_nodes:
            say(f"{each.name}\t{each.address}")
        return 0
    node = find(spec, args.node)
    if args.action == "stop":
        step(f"Switching off {node.name}", lambda: switch_off(spec, node))
    elif args.action == "start":
        step(f"Switching on {node.name}", lambda: switch_on(spec, node))
    else:
        step(f"Deleting {node.name}", lambda: delete(spec, node))
    return 0


def find(spec: ClusterSpec, name: str) -> NodeSpec:
    for node in spec.all_nodes:
        if node.name == name:
            return node
    raise ClusterError(f'cluster "{spec.name}" has no node {name!r}; it has '
                       f"{', '.join(node.name for node in spec.all_nodes)}")


def switch_off(spec: ClusterSpec, node: NodeSpec) -> None:
    """End all that runs on a node at once, without telling the cluster: no graceful end, no word to the API server."""
    dataclasses.replace(spec, stopped=(*(n for n in spec.stopped if n != node.name), node.name)).save()
    pid = supervisor.running(spec)
    if pid is not None:
        os.kill(pid, signal.SIGHUP)
    processes.end_group(spec, spec.node_cgroup(node))
    mounts.unmount(spec.node_run(node))
    mounts.unmount(spec.node_state(node))
    netns.remove_node(node)


def delete(spec: ClusterSpec, node: NodeSpec) -> None:
    """Take the last node out of the cluster: its processes, its object, its files."""
    if spec.nodes == 1 or node != spec.node(spec.nodes):
        raise ClusterError(f"{node.name} cannot be deleted: only the last of several nodes can be, since nodes are "
                           "counted; `timonier delete` removes the whole cluster")
    switch_off(spec, node)
    dataclasses.replace(spec, nodes=spec.nodes - 1, stopped=tuple(n for n in spec.stopped if n != node.name)).save()
    api.call(spec, lambda client: client.delete(core_v1.Node, node.name), limit=LIMIT)
    containerd.forget_networks(spec, node)
    containerd.forget_shims(spec, node)
    for folder in (spec.node_state(node), spec.node_run(node)):
        shutil.rmtree(folder, ignore_errors=True)


def switch_on(spec: ClusterSpec, node: NodeSpec) -> None:
    context = Context(dataclasses.replace(spec, stopped=tuple(n for n in spec.stopped if n != node.name)))
    for each in START:
        each.do(context)
