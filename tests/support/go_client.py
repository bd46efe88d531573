"""The Go program in tests/go_client, on client-go with nothing but protobuf. `python -m support.go_client` builds it.

Its modules come from Go's module proxy, its compiled packages stay in the checkout's cache.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path

from support.layers import CACHE
from support.toolchains import go

SOURCE = Path(__file__).parents[1] / "go_client"
BUILD_SECONDS = 900


@cache
def client() -> Path:
    """The program, built where it or its sources are new."""
    content = b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()) if path.is_file())
    program = CACHE / "go" / f"client-{hashlib.sha256(content).hexdigest()[:16]}"
    if not program.exists():
        build(program)
    return program


def build(program: Path) -> None:
    """Written whole or not at all, however many ask for it at once."""
    print(f"Building the client in Go, for the tests, into {program.parent}", flush=True)
    program.parent.mkdir(parents=True, exist_ok=True)
    draft = program.with_name(f"{program.name}.{os.getpid()}")
    env = os.environ | {"GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "auto", "GOCACHE": str(CACHE / "go" / "build")}
    subprocess.run([str(go()), "build", "-trimpath", "-o", str(draft), "."], cwd=SOURCE, env=env, check=True,
                   timeout=BUILD_SECONDS)
    draft.replace(program)


if __name__ == "__main__":
    client()
