"""For every test: a time limit and examples that are the same each time. For those marked `machine`: a machine that can
run them, or a failure that says what it lacks; and a look at what they left there.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from support import machine
from support.containerd import NAMESPACE, containerd

LIMIT, MACHINE_LIMIT = 60, 240
"""Seconds that a test may take, with what it is the first to set up or the last to take down."""

settings.register_profile("same", deadline=None, derandomize=True, database=None)
settings.register_profile("search", deadline=None, max_examples=1000)  # `pytest --hypothesis-profile=search`
settings.load_profile("same")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """End a test that hangs, where it hangs."""
    limit = MACHINE_LIMIT if item.get_closest_marker("machine") else LIMIT

    def end(*_: Any) -> None:
        pytest.fail(f"not done within {limit} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, limit, 1)  # again each second, since an event loop may swallow the first
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("machine") and machine.lacks():
        pytest.fail(f"this machine cannot run real containers and packets: {machine.lacks()}\n"
                    "`make test` installs what is needed and runs them as root; `make test-unit` leaves them out",
                    pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def tidy_machine(request: pytest.FixtureRequest) -> Iterator[None]:
    """The machine is free of what killed runs left, and in the end of what this run left."""
    if machine.lacks() or not any(item.get_closest_marker("machine") for item in request.session.items):
        yield
        return
    machine.sweep()
    yield
    assert machine.left_by(os.getpid()) == []


@pytest.fixture(scope="module")
def containerd_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a containerd in whose network namespace the module's tests run."""
    with containerd(tmp_path_factory.mktemp(NAMESPACE)) as socket, machine.inside(NAMESPACE):
        yield socket
