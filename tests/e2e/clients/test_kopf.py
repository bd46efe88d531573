"""An operator on kopf, unmodified, as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import eventually
from support.control_plane import ControlPlane

OPERATOR = Path(__file__).parent / "basket_operator.py"
BASKET = """
apiVersion: test.example.com/v1
kind: Basket
metadata: {name: mine}
spec: {size: 4}
"""


@pytest.fixture
def operator(plane: ControlPlane, namespace: str, baskets: str, tmp_path: Path) -> Iterator[Path]:
    """The operator's log, while it runs."""
    log = tmp_path / "operator.log"
    with log.open("wb") as out:
        running = subprocess.Popen([sys.executable, "-m", "kopf", "run", "--namespace", namespace, str(OPERATOR)],
                                   stdout=out, stderr=out, env=plane.env)
    try:
        yield log
    finally:
        running.terminate()
        running.wait(15)


def test_an_operator_sees_its_objects_come_change_and_go(plane: ControlPlane, namespace: str,
                                                         operator: Path) -> None:
    def field(what: str, path: str) -> str:
        return plane.kubectl("-n", namespace, "get", what, "-o", f"jsonpath={{{path}}}", check=False).out

    plane.kubectl("-n", namespace, "apply", "-f", "-", stdin=BASKET)
    eventually(lambda: field("configmap/mine", ".data.size") == "4" or (_ for _ in ()).throw(
        AssertionError(operator.read_text()[-2000:])))
    assert field("configmap/mine", ".metadata.ownerReferences[0].kind") == "Basket"
    eventually(lambda: field("basket/mine", ".status.create.configMap") == "mine")
    plane.kubectl("-n", namespace, "patch", "basket", "mine", "--type=merge", "-p", '{"spec":{"size":7}}')
    eventually(lambda: field("configmap/mine", ".data.size") == "7")
    plane.kubectl("-n", namespace, "delete", "basket", "mine", "--timeout=30s")
    assert field("configmap/farewell-mine", ".metadata.name") == "farewell-mine"
    eventually(lambda: field("configmap/mine", ".metadata.name") == "")  # collected with its owner
