"""One control plane for all clients that need no node."""

from __future__ import annotations

import gc
import itertools
import re
import warnings
from collections.abc import Iterator

import pytest
from support.control_plane import ControlPlane, control_plane
from support.examples import EXAMPLES

NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def leftovers() -> Iterator[None]:
    """Sockets that the clients leave to the garbage collector are not ours to judge."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as made:
        yield made


@pytest.fixture
def namespace(plane: ControlPlane, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own, with its default service account."""
    name = f"t{next(NUMBERS)}-{re.sub('[^a-z0-9]+', '-', request.node.name)}"[:50].rstrip("-")
    plane.kubectl("create", "namespace", name)
    plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")
    return name


@pytest.fixture(scope="session")
def baskets(plane: ControlPlane) -> str:
    """A kind of the tests' own, once it is served; its group."""
    plane.kubectl("apply", "-f", str(EXAMPLES / "basket.yaml"))
    plane.kubectl("wait", "--for=condition=Established", "crd/baskets.test.example.com", "--timeout=20s")
    return "test.example.com"
