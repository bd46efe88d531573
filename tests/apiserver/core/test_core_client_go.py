"""client-go, unmodified, speaking protobuf alone: its own encoding beside ours, and a life of several kinds."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from support import schema_objects
from support.control_plane import ControlPlane, control_plane
from support.go_client import client

from timonier.api.check import check
from timonier.api.kinds import KINDS
from timonier.api.protobuf import envelope

NOT_IN_CLIENT_GO = ("apiextensions.k8s.io", "apiregistration.k8s.io")
KNOWN = [kind for kind in KINDS if kind.group not in NOT_IN_CLIENT_GO]


class Go:
    """The transcoding program, kept running."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([client(), "transcode"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, given: Any) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(given).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"Go does not take {given}"
        return json.loads(line)

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(10)
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture(scope="module")
def go() -> Iterator[Go]:
    made = Go()
    yield made
    made.close()


@pytest.mark.parametrize("kind", KNOWN, ids=lambda kind: kind.id)
def test_go_reads_what_we_write_and_we_what_it_writes(go: Go, kind: Any) -> None:
    @settings(max_examples=8, suppress_health_check=list(HealthCheck), deadline=None)
    @given(schema_objects.of(kind.definition))
    def compared(drawn: dict[str, Any]) -> None:
        obj = check(drawn, kind.definition).obj | {"apiVersion": kind.apiVersion, "kind": kind.kind}
        theirs = go.ask(obj)
        ours = go.ask({"protobuf": base64.b64encode(envelope.encode(obj)).decode()})
        assert ours["json"] == theirs["json"]
        read = envelope.decode(base64.b64decode(theirs["protobuf"]))
        assert without_nothing(go.ask(read)["json"]) == without_nothing(theirs["json"])
    compared()


def without_nothing(value: Any) -> Any:
    """A value without what is null or no bytes: Go tells the two apart in some fields, where we have neither."""
    if isinstance(value, dict):
        return {key: without_nothing(each) for key, each in value.items() if each not in (None, "")}
    return [without_nothing(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("go"), manager=False) as made:
        made.kubectl("create", "namespace", "lively")
        made.kubectl("create", "serviceaccount", "default", "-n", "lively")
        yield made


def test_informers_follow_the_life_of_several_kinds(plane: ControlPlane) -> None:
    done = plane.run(str(client()), "live", str(plane.kubeconfig), "lively")
    seen = json.loads(done.out)
    for kind in ("configmaps", "metadata of configmaps"):
        assert history(seen[kind], "c-03") == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
        assert history(seen[kind], "c-07") == ["ADDED", "DELETED"]
    for kind in ("secrets", "leases", "configmaps"):
        assert history(seen[kind], "last") == ["ADDED", "DELETED"]
    assert history(seen["deployments"], "last") == ["ADDED", "MODIFIED", "DELETED"]


def history(events: Sequence[str], name: str) -> list[str]:
    return [event.partition(" ")[0] for event in events if event.endswith(f" {name}")]
