"""Ctrl-C during `timonier start`: exit code 130, and starting again makes the cluster whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import RealCluster

pytestmark = pytest.mark.machine

MOMENTS = (0.15, 0.5, 0.9, 1.4, 2.0)
"""Seconds after which the person at the terminal has had enough."""
ENDS = (0, 130, -signal.SIGINT)
"""The last on a busy machine, where the interpreter itself was still starting."""


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RealCluster]:
    made = RealCluster("interrupted", tmp_path)
    yield made
    made.timonier("delete", "--name", made.name)


def interrupt(cluster: RealCluster, after: float) -> tuple[int, str]:
    """Start and press Ctrl-C, which reaches every process of the terminal's foreground group."""
    command = [sys.executable, "-m", "timonier", "start", "--name", cluster.name, "--api-port", str(cluster.port)]
    starting = subprocess.Popen(command, env=cluster.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                start_new_session=True)
    time.sleep(after)
    if starting.poll() is None:
        os.killpg(starting.pid, signal.SIGINT)
    out, _ = starting.communicate(timeout=30)
    return starting.returncode, out


def test_a_start_that_is_interrupted_again_and_again_is_repaired_by_the_next(fresh: RealCluster) -> None:
    for moment in MOMENTS:
        code, out = interrupt(fresh, moment)
        assert "Traceback" not in out
        assert code in ENDS, out
        if "Starting cluster" in out and code == 130:
            assert f"`timonier start --name {fresh.name}` goes on from here" in out
    fresh.start()
    assert fresh.timonier("status", "--name", fresh.name).code == 0
    fresh.kubectl("get", "nodes")


def test_an_interrupted_start_can_be_deleted(fresh: RealCluster) -> None:
    assert interrupt(fresh, 0.9)[0] in ENDS
    done = fresh.timonier("delete", "--name", fresh.name)
    assert "Traceback" not in done.text
    assert fresh.timonier("status", "--name", fresh.name, check=False).code == 2
