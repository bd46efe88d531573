"""What the commands share: finding the cluster that a command is about, and showing steps as they go."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from timonier.cluster.spec import ClusterError, ClusterSpec, load

T = TypeVar("T")

DEFAULT = ClusterSpec.__dataclass_fields__["name"].default


def name_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default=DEFAULT, help=f"the cluster's name (default: {DEFAULT})")


def existing(name: str) -> ClusterSpec:
    """The cluster of that name. Raises ClusterError where there is none."""
    spec = load(name)
    if spec is None:
        raise ClusterError(f'there is no cluster "{name}"; make one with: timonier start --name {name}')
    return spec


def say(text: str = "") -> None:
    print(text, flush=True)  # noqa: T201


def step(title: str, action: Callable[[], T]) -> T:
    """Run one step, showing its title while it works and its time when it is done. Returns what the step does."""
    lively = sys.stdout.isatty()
    if lively:
        print(f"  … {title}", end="", flush=True)  # noqa: T201
    begin = time.monotonic()
    try:
        result = action()
    except BaseException:
        say(f"\r  ✗ {title}" if lively else f"  ✗ {title}")
        raise
    say(("\r" if lively else "") + f"  ✓ {title:<50} {time.monotonic() - begin:6.2f} s")
    return result
