"""@kubernetes/client-node, unmodified: its typed and its generic API, and its informer."""

from __future__ import annotations

import json

from support.control_plane import ControlPlane
from support.node_client import client


def test_an_informer_follows_what_the_client_does(plane: ControlPlane, namespace: str) -> None:
    result = json.loads(plane.run(*client(), namespace, timeout=40).out)
    assert result["seen"][0] == "add a"
    assert result["seen"][-1] == "delete a"
    assert [each for each in result["seen"] if each.startswith("error")] == []
    assert "update a 3" in result["seen"]
    assert result["data"] == {"x": "3", "y": "4"}
    assert (result["stale"], result["missing"], result["allowed"]) == (409, 404, True)
