"""The tour of the README, word for word: every command does what its line says, in the order in which they stand."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import machine
from support.ports import free_port

pytestmark = pytest.mark.machine

README = Path(__file__).parent.parent.parent / "README.md"
NAME = f"{machine.RUN}-tour"
LIMIT = 120.0


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    made = os.environ | {"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "kubeconfig")}
    yield made
    subprocess.run([sys.executable, "-m", "timonier", "delete", "--name", NAME], env=made, check=True, timeout=LIMIT)


def tour() -> list[str]:
    """The commands of the README's tour."""
    block = README.read_text().partition("## A first tour")[2].split("```")[1]
    return [line for line in (line.partition(" #")[0].strip() for line in block.splitlines()) if line]


def command(line: str) -> list[str]:
    """A line of the tour, on a cluster that no other test and no user has."""
    program, *words = shlex.split(line)
    assert program == "timonier"
    if words[0] != "kubectl":
        words += ["--name", NAME]
    if words[0] == "start":
        words += ["--api-port", str(free_port())]
    return [sys.executable, "-m", "timonier", *words]


def forward(line: str, env: dict[str, str]) -> str:
    """What one gets through a port-forward, which then ends by Ctrl-C."""
    port = re.findall(r"(\d+):\d+", line)[0]
    process = subprocess.Popen(command(line), env=env)
    try:
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                return str(urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5).read(), "utf-8")
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < deadline, line
                time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(LIMIT)


def test_the_tour_of_the_readme_works_as_it_stands_there(env: dict[str, str]) -> None:
    said = {}
    for line in tour():
        if " port-forward " in line:
            said[line] = forward(line, env)
            continue
        done = subprocess.run(command(line), env=env, input="hostname\n", text=True, capture_output=True, timeout=LIMIT,
                              check=False)
        said[line] = done.stdout
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"

    def answer(part: str) -> str:
        return next(text for line, text in said.items() if part in line)

    assert ", 0 failed." in answer("timonier demo")
    assert answer("get nodes").count(" Ready ") == 2
    assert answer("wget").startswith("Hello from hello-")
    assert answer("port-forward").startswith("Hello from hello-")
    assert answer("exec -it").startswith("hello-")
    assert "agent-node-2" in answer("timonier logs")
