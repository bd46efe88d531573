"""logs: show what a part of the cluster logged (apiserver, manager, agent-node-1, containerd-node-1, supervisor)."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from timonier.cluster.spec import ClusterError
from timonier.cluster.verbs.common import existing, name_argument

BLOCK = 1 << 16


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("component", nargs="?", help="whose log; without it, the parts that have one are listed")
    name_argument(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on showing what is logged")
    parser.add_argument("-n", "--tail", type=int, default=200, help="how many lines from the end (default: 200)")


def run(args: argparse.Namespace) -> int:
    spec = existing(args.name)
    names = sorted(file.stem for file in spec.logs.glob("*.log"))
    if args.component is None:
        print("\n".join(names))  # noqa: T201
        return 0
    if args.component not in names:
        raise ClusterError(f"{args.component!r} has no log; these have: {', '.join(names)}")
    show(spec.logs / f"{args.component}.log", args.tail, follow=args.follow)
    return 0


def show(file: Path, lines: int, *, follow: bool) -> None:
    """Print the end of a log; with `follow`, what is appended until interrupted, through truncation."""
    with file.open("rb") as stream:
        print(tail(file, lines).decode(errors="replace"), end="", flush=True)  # noqa: T201
        at = stream.seek(0, 2)
        while follow:
            if file.stat().st_size < at:
                stream.seek(0)
            text = stream.read()
            at = stream.tell()
            if text:
                print(text.decode(errors="replace"), end="", flush=True)  # noqa: T201
            else:
                time.sleep(0.1)


def tail(file: Path, lines: int) -> bytes:
    """The last lines of a file, reading only its end."""
    with file.open("rb") as stream:
        end = at = stream.seek(0, 2)
        text = b""
        while at > 0 and text.count(b"\n") <= lines:
            at = max(0, at - BLOCK)
            stream.seek(at)
            text = stream.read(end - at)
    return b"".join(text.splitlines(keepends=True)[-lines:]) if lines > 0 else b""
