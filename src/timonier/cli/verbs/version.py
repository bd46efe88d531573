"""version: say which Timonier this is, and which Kubernetes it is."""

from __future__ import annotations

import argparse
from importlib.metadata import version

KUBERNETES = "v1.37.0"


def arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(args: argparse.Namespace) -> int:
    print(f"timonier {version('timonier')} (Kubernetes {KUBERNETES})")  # noqa: T201
    return 0
