"""stop: end a cluster's processes and containers; what it stores stays, and `timonier start` goes on from there."""

from __future__ import annotations

import argparse

from timonier.cluster.drivers import netns
from timonier.cluster.steps import processes
from timonier.cluster.verbs.common import existing, name_argument, step


def arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser)


def run(args: argparse.Namespace) -> int:
    spec = existing(args.name)
    step("Stopping processes and containers", lambda: processes.stop(spec))
    step("Disconnecting nodes", lambda: netns.delete(spec))
    return 0
