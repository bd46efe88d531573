"""image: bring container images into a cluster's nodes, and list them. No registry is needed."""

from __future__ import annotations

import argparse
from pathlib import Path

from timonier.cluster import containerd, supervisor
from timonier.cluster.spec import ClusterError, ClusterSpec
from timonier.cluster.steps.ready import running_nodes
from timonier.cluster.verbs.common import existing, name_argument, say


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="load|ls", required=True)
    load = actions.add_parser("load", help="load archives (docker save, OCI layout; plain or gzip) into every node")
    load.add_argument("file", nargs="+", type=Path, help="the archives")
    name_argument(load)
    name_argument(actions.add_parser("ls", help="list the images that the nodes hold"))


def run(args: argparse.Namespace) -> int:
    spec = existing(args.name)
    if supervisor.running(spec) is None:
        raise ClusterError(f'cluster "{spec.name}" is not running; start it with: timonier start --name {spec.name}')
    if args.action == "load":
        for file in args.file:
            if not file.is_file():
                raise ClusterError(f"{file}: no such file")
            load(spec, file)
    else:
        for name in sorted({name for node in running_nodes(spec) for name in containerd.images(spec, node)}):
            say(name)
    return 0


def load(spec: ClusterSpec, file: Path) -> None:
    """Import an archive into every node that runs, and say what it brought."""
    before = {name for node in running_nodes(spec) for name in containerd.images(spec, node)}
    for node in running_nodes(spec):
        containerd.load(spec, node, file)
    after = {name for node in running_nodes(spec) for name in containerd.images(spec, node)}
    for name in sorted(after - before) or [f"{file}: nothing that was not there already"]:
        say(name)
