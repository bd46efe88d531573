"""A real runtime for the tests that need one: containerd in a network namespace, which the tests enter."""

from __future__ import annotations

import ctypes
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from node_server.clients import close_all
from node_server.real_runtime import containerd

CLONE_NEWNET = 0x40000000


def enter(namespace: str) -> None:
    """Move this thread, and what it starts, to another network namespace."""
    file = os.open(namespace, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(file, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    finally:
        os.close(file)


@pytest.fixture(autouse=True)
async def links() -> AsyncIterator[None]:
    """Whatever streams a test opened are closed after it."""
    yield
    await close_all()


@pytest.fixture(scope="module")
def containerd_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a containerd in whose network namespace the module's tests run."""
    name = f"strm-{os.getpid()}"
    home = f"/proc/{os.getpid()}/task/{os.getpid()}/ns/net"
    before = os.open(home, os.O_RDONLY)
    with containerd(tmp_path_factory.mktemp("containerd"), name) as socket:
        enter(f"/run/netns/{name}")
        try:
            yield socket
        finally:
            enter(f"/proc/self/fd/{before}")
            os.close(before)
