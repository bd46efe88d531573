"""delete: remove a cluster and everything that it made on this machine."""

from __future__ import annotations

import argparse

from timonier.cluster.spec import STATE, ClusterError, ClusterSpec, known, load
from timonier.cluster.steps import START, Context
from timonier.cluster.verbs.common import name_argument, say, step


def arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser)
    parser.add_argument("--all", action="store_true", help="delete every cluster on this machine")


def run(args: argparse.Namespace) -> int:
    names = [spec.name for spec in known()] if args.all else [args.name]
    for name in names:
        delete(name)
    return 0


def delete(name: str) -> None:
    """Undo the steps of starting, last first. A cluster whose spec is damaged is deleted as far as its name tells."""
    try:
        spec = load(name)
    except ClusterError:
        spec = ClusterSpec(name)
    if spec is None:
        if not (STATE / name).exists():
            say(f'There is no cluster "{name}"')
            return
        spec = ClusterSpec(name)
    say(f'Deleting cluster "{name}"')
    context = Context(spec)

    def undo_all() -> None:
        for each in reversed(START):
            each.undo(context)

    step("Removing processes, containers, network, files", undo_all)
    for note in context.notes:
        say(note)
