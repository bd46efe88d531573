"""The operator in examples/, on the client and the runner of this project, as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from support.cluster import eventually
from support.control_plane import ControlPlane
from support.examples import EXAMPLES

BASKET = '{"apiVersion": "test.example.com/v1", "kind": "Basket", "metadata": {"name": "mine"}, "spec": {"size": 4}}'


@pytest.fixture
def operator(plane: ControlPlane, baskets: str) -> Iterator[None]:
    running = subprocess.Popen([sys.executable, str(EXAMPLES / "basket_operator.py")], env=plane.env)
    yield
    running.terminate()
    assert running.wait(10) == 0


def test_a_basket_gets_what_it_wants_and_what_is_taken_away_comes_back(plane: ControlPlane, namespace: str,
                                                                       operator: None) -> None:
    def field(what: str, path: str) -> str:
        return plane.kubectl("-n", namespace, "get", what, "-o", f"jsonpath={{{path}}}", check=False).out

    plane.kubectl("-n", namespace, "create", "-f", "-", stdin=BASKET)
    eventually(lambda: field("configmap/mine", ".data.size") == "4")
    eventually(lambda: field("basket/mine", ".status.size") == "4")
    plane.kubectl("-n", namespace, "delete", "configmap", "mine")
    eventually(lambda: field("configmap/mine", ".data.size") == "4")
    plane.kubectl("-n", namespace, "patch", "configmap", "mine", "-p", '{"data": {"size": "99", "note": "mine"}}')
    eventually(lambda: field("configmap/mine", ".data.size") == "4")
    eventually(lambda: "Filled" in plane.kubectl("-n", namespace, "get", "events").out)
    plane.kubectl("-n", namespace, "delete", "basket", "mine")
    eventually(lambda: field("configmap/mine", ".metadata.name") == "")
