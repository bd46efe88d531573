"""start: make a cluster and start it, start one that was stopped, or repair one that is half dead.

The cluster's nodes are network namespaces of this machine, each with a containerd of its own. Starting again with more
--nodes adds nodes.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence
from functools import partial

from timonier.cluster.spec import ClusterError, ClusterSpec, exclusive, free_index, load
from timonier.cluster.steps import BUILD, RESERVE, Context, Step
from timonier.cluster.steps.check_host import check_root
from timonier.cluster.verbs.common import name_argument, say, step

FIRST_PORT = 6443


def arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser)
    parser.add_argument("--nodes", type=int, help="how many nodes (default: 1, or as many as it had)")
    parser.add_argument("--api-port", type=int, help="port of the API server on 127.0.0.1 (default: 6443, counted up "
                                                     "for each further cluster)")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for the cluster (default: 60)")


def run(args: argparse.Namespace) -> int:
    begin = time.monotonic()
    check_root()
    try:
        context = start(args)
    except KeyboardInterrupt:
        say(f"Interrupted. `timonier start --name {args.name}` goes on from here, "
            f"`timonier delete --name {args.name}` removes what there is.")
        raise
    say(f"Ready after {time.monotonic() - begin:.2f} s. " + " ".join(context.notes))
    return 0


def start(args: argparse.Namespace) -> Context:
    """Go through all steps, each of which makes what is missing."""
    with exclusive():
        context = Context(wanted(args), timeout=args.timeout)
        say(f'Starting cluster "{context.spec.name}" with {count(context.spec.nodes)}')
        do(RESERVE, context)
    do(BUILD, context)
    return context


def do(steps: Sequence[Step], context: Context) -> None:
    for each in steps:
        step(each.title, partial(each.do, context))


def wanted(args: argparse.Namespace) -> ClusterSpec:
    """The cluster as asked for: a new one, or the one that exists with what was asked changed."""
    spec = load(args.name)
    if spec is None:
        index = free_index()
        return ClusterSpec(args.name, index=index, nodes=1 if args.nodes is None else args.nodes,
                           api_port=args.api_port or FIRST_PORT + index)
    if args.api_port not in (None, spec.api_port):
        raise ClusterError(f'cluster "{spec.name}" has its API server on port {spec.api_port}; '
                           f"to change that, delete it first: timonier delete --name {spec.name}")
    if args.nodes is not None and args.nodes < spec.nodes:
        raise ClusterError(f'cluster "{spec.name}" has {count(spec.nodes)}; remove the last with: '
                           f"timonier node delete --name {spec.name} {spec.node(spec.nodes).name}")
    return dataclasses.replace(spec, nodes=args.nodes or spec.nodes)


def count(nodes: int) -> str:
    return "1 node" if nodes == 1 else f"{nodes} nodes"
