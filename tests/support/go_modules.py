"""Files of Go modules, of which some hold the definitions that clusters out there are full of."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from support.layers import CACHE
from support.toolchains import go

from timonier.apiserver.yamls import Loader

FETCH_SECONDS = 300


@cache
def module(name: str) -> Path:
    """The folder of a module such as `sigs.k8s.io/gateway-api@v1.4.0`, fetched once from Go's module proxy."""
    folder = CACHE / "go" / "modules"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text("module none\n")
    said = subprocess.run([str(go()), "mod", "download", "-json", name], cwd=folder, check=True, capture_output=True,
                          env=os.environ | {"GOTOOLCHAIN": "auto", "GOFLAGS": "-mod=mod"}, timeout=FETCH_SECONDS)
    return Path(json.loads(said.stdout)["Dir"])


def manifests(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects in a folder's YAML files, each with the name of its file."""
    for path in sorted(folder.rglob("*.yaml")):
        for found in yaml.load_all(path.read_text(), Loader):
            if isinstance(found, dict) and "kind" in found:
                yield path.name, found
