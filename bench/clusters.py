"""A throw-away cluster for benches, driven by the commands that a user has."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME, PORT = "bench", 18443


def timonier(*arguments: str, env: dict[str, str]) -> str:
    """What a command prints. Raises CalledProcessError, with what it printed, where it fails."""
    done = subprocess.run([sys.executable, "-m", "timonier", *arguments], env=env, capture_output=True, text=True,
                          timeout=300, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        done.check_returncode()
    return done.stdout


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """Variables with a kubeconfig of its own; any cluster of the bench's name is gone before and after."""
    with tempfile.TemporaryDirectory(prefix="timonier-bench-") as folder:
        env = dict(os.environ) | {"KUBECONFIG": str(Path(folder) / "kubeconfig")}
        timonier("delete", "--name", NAME, env=env)
        try:
            yield env
        finally:
            timonier("delete", "--name", NAME, env=env)


def start(env: dict[str, str], *arguments: str) -> str:
    return timonier("start", "--name", NAME, "--api-port", str(PORT), *arguments, env=env)
