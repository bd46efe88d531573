"""What managedFields cost a write, beside parsing and writing the JSON of the same object once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from table import Row, in_turns, main

from timonier.api.kinds import BY_ID
from timonier.apiserver.ownership import Ownership
from timonier.apiserver.resources import Resources
from timonier.apiserver.views import Views
from timonier.kit.clock import SystemClock

POD = BY_ID["v1/Pod"]
ROUNDS = 2000
MAIN, STATUS = {"f:status": {}}, {"f:spec": {}}


def pod() -> dict[str, Any]:
    """A pod as a ReplicaSet makes it, defaulted."""
    made: dict[str, Any] = {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web-6d4cf56db6-x2l5k", "generateName": "web-6d4cf56db6-", "namespace": "default",
                     "labels": {"app": "web", "pod-template-hash": "6d4cf56db6"}, "ownerReferences": [
                         {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6d4cf56db6", "uid": "1",
                          "controller": True, "blockOwnerDeletion": True}]},
        "spec": {"containers": [{
            "name": "app", "image": "nginx", "ports": [{"containerPort": 80}],
            "env": [{"name": "MODE", "value": "production"},
                    {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}},
            "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}]}],
            "volumes": [{"name": "config", "configMap": {"name": "app"}}]}}
    POD.shape.default(made)
    POD.shape.fill(made)
    return made


def status(ready: str) -> dict[str, Any]:
    conditions = [{"type": name, "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}
                  for name in ("PodScheduled", "Initialized", "ContainersReady", "Ready")]
    return {"phase": "Running", "podIP": "10.244.0.7", "hostIP": "10.89.0.11", "conditions": conditions}


def measure() -> list[Row]:
    ownership = Ownership(Resources(), Views(), SystemClock())
    new = pod()
    created = whole(new)
    at_once(ownership.created(POD, created, "kube-controller-manager", MAIN))
    running = whole(created) | {"status": status("True")}
    at_once(ownership.changed(POD, running, created, "kubelet", "status", STATUS))
    text = orjson.dumps(running)

    def create() -> None:
        at_once(ownership.created(POD, own(new), "kube-controller-manager", MAIN))

    def change() -> None:
        again = own(running) | {"status": status("False")}
        at_once(ownership.changed(POD, again, running, "kubelet", "status", STATUS))

    def same() -> None:
        at_once(ownership.changed(POD, own(running), running, "kubelet", "status", STATUS))

    def parse() -> None:
        orjson.dumps(orjson.loads(text))

    figures = in_turns(*(lambda run=run: microseconds(run) for run in (create, change, same, parse)))
    titles = ("create a pod", "update a pod's status again", "update a pod, nothing changed")
    return [Row(title, figure, figures[-1], "µs", "orjson: parse and write that pod")
            for title, figure in zip(titles, figures, strict=False)]


def at_once(recording: Coroutine[Any, Any, None]) -> None:
    """Run what waits for nothing, since all is in one version."""
    with contextlib.suppress(StopIteration):
        recording.send(None)


def whole(obj: dict[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = orjson.loads(orjson.dumps(obj))
    return copy


def own(obj: dict[str, Any]) -> dict[str, Any]:
    """The object with metadata of its own, which is what recording changes."""
    return obj | {"metadata": dict(obj["metadata"])}


def microseconds(run: Callable[[], None]) -> float:
    start = time.process_time()
    for _ in range(ROUNDS):
        run()
    return (time.process_time() - start) / ROUNDS * 1e6


if __name__ == "__main__":
    main(measure, "managedFields")
