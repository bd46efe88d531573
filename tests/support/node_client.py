"""The program in tests/e2e/clients/node with what it needs. `python -m support.node_client` installs it."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

from support.layers import CACHE
from support.toolchains import node, npm

SOURCE = Path(__file__).parents[1] / "e2e" / "clients" / "node"
FOLDER = CACHE / "node"
INSTALL_SECONDS = 300


@cache
def client() -> list[str]:
    """The program's command. Its packages are installed where there are none of this lock file yet."""
    lock, installed = (SOURCE / "package-lock.json").read_text(), FOLDER / "installed"
    if not installed.exists() or installed.read_text() != lock:
        print(f"Installing the client on Node.js, for the tests, into {FOLDER}", flush=True)
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, FOLDER)
        subprocess.run([*npm(), "ci", "--silent", "--no-audit", "--no-fund"], cwd=FOLDER, check=True,
                       timeout=INSTALL_SECONDS)
        installed.write_text(lock)
    shutil.copy(SOURCE / "client.mjs", FOLDER)
    return [str(node()), str(FOLDER / "client.mjs")]


if __name__ == "__main__":
    client()
