"""A short run of the fuzzer; long ones are run by `make fuzz`."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.machine
def test_random_requests_are_answered_without_a_fault() -> None:
    done = subprocess.run([sys.executable, "-m", "fuzz", "--requests", "4000", "--batch", "1000"], cwd="tests",
                          capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
