"""Sending what `generate` makes, and looking at how the server takes it."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from support.control_plane import ControlPlane
from support.samples import samples

from fuzz.generate import Generator, Made

ANSWER_SECONDS = 30
PROBES = 100
SLOWER, GRACE_MS = 3.0, 5.0
"""How much longer than at first a GET may take after a batch: this often, and no less than so many milliseconds."""
RIGHTLY = (b"ResourceVersionTooLarge", b"no node leads to the endpoints", b"failed calling webhook",
           b"no endpoints available",
           b"error trying to reach service", b"replicas field")
"""What Kubernetes answers 5xx to as well: revisions that have not happened, and servers that objects name and that are
not there, custom objects without the field that says how many they want."""
STANDING_IN_THE_WAY = (
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
    "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
    "/api/v1/namespaces/default/resourcequotas", "/api/v1/namespaces/default/limitranges",
)
"""Collections that are emptied now and then, as their objects may refuse everything that follows."""


WIDGET = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object", "required": ["size"],
            "x-kubernetes-validations": [
                {"rule": "self.size <= self.?most.orValue(100)", "messageExpression": "'larger than it may be'"},
                {"rule": "!has(oldSelf.colour) || (has(self.colour) && self.colour == oldSelf.colour)"}],
            "properties": {
                "size": {"type": "integer", "minimum": 0}, "most": {"type": "integer", "default": 50},
                "colour": {"type": "string", "maxLength": 8, "pattern": "^[a-z]*$", "nullable": True},
                "port": {"x-kubernetes-int-or-string": True}, "when": {"type": "string", "format": "date-time"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                          "items": {"type": "object", "required": ["name"], "properties": {
                              "name": {"type": "string"}, "count": {"type": "integer", "default": 1}}}},
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}}}},
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}}}}
WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.fuzz.example.com"}, "spec": {
        "group": "fuzz.example.com", "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]},
        "versions": [{"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": WIDGET},
                      "selectableFields": [{"jsonPath": ".spec.colour"}],
                      "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                      "subresources": {"status": {}, "scale": {
                          "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.replicas",
                          "labelSelectorPath": ".status.selector"}}} for name in ("v1", "v1beta1")]}}
"""A kind with a bit of everything that a definition can say."""


@dataclass
class Report:
    """One batch."""

    requests: int
    statuses: Counter[int]
    get_ms: float
    resident_mib: float
    worst: list[str] = field(default_factory=list)
    """Requests that were answered 5xx, or not at all."""

    def __str__(self) -> str:
        classes = Counter[str]()
        for status, count in self.statuses.items():
            classes[f"{status // 100}xx"] += count
        return (f"{self.requests:>8} requests  {dict(sorted(classes.items()))}  GET {self.get_ms:.2f} ms  "
                f"{self.resident_mib:.0f} MiB")


class Attacker:
    """One connection of an administrator."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.context = ssl.create_default_context(cafile=str(plane.authority.pair.certificate))
        self.context.load_cert_chain(plane.folder / "admin.crt", plane.folder / "admin.key")
        self.connection = self.connect()

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.plane.port, context=self.context, timeout=ANSWER_SECONDS)

    def send(self, made: Made) -> tuple[int, bytes]:
        """Status and body; 0 where there was no answer."""
        try:
            self.connection.request(made.method, made.target, made.body or None, made.headers)
            answer = self.connection.getresponse()
            body = answer.read()
            if answer.will_close:
                self.connection.close()
            return answer.status, body
        except (OSError, http.client.HTTPException):
            self.connection.close()
            return 0, b""

    def get(self, path: str) -> Any:
        status, body = self.send(Made("GET", path, {"accept": "application/json"}, b""))
        assert status == 200, (path, status, body[:300])
        return json.loads(body)

    def documents(self) -> list[Any]:
        """Everything that the server says of itself in OpenAPI v3."""
        index = self.get("/openapi/v3")["paths"]
        return [self.get(each["serverRelativeURL"]) for each in index.values()]

    def prepare(self) -> None:
        """What random objects need around them: a namespace, service accounts for pods, a kind with a schema."""
        self.post("/api/v1/namespaces", {"metadata": {"name": "fuzz"}})
        for namespace in ("default", "fuzz"):
            self.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
        self.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", WIDGETS)

    def post(self, path: str, obj: Any) -> None:
        status, body = self.send(Made("POST", path, {"content-type": "application/json"}, json.dumps(obj).encode()))
        assert status in (201, 409), (path, status, body[:500])

    def clear_the_way(self) -> None:
        for path in STANDING_IN_THE_WAY:
            self.send(Made("DELETE", path, {}, b""))

    def get_ms(self) -> float:
        """The median of some GETs of one object."""
        times = []
        for _ in range(PROBES):
            start = time.perf_counter()
            self.get("/api/v1/namespaces/default")
            times.append(time.perf_counter() - start)
        return median(times) * 1000


def resident(pid: int) -> float:
    """MiB of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) / 1024


def attack(plane: ControlPlane, requests: int, batch: int, seed: int) -> Iterator[Report]:
    """Reports of one batch after another. The documents are read anew for each, as kinds come and go."""
    attacker = Attacker(plane)
    attacker.prepare()
    sent = 0
    while sent < requests:
        generator = Generator(attacker.documents(), Random(f"{seed} {sent}"))
        generator.learn({"kind": "List", "items": samples()})
        statuses, worst = Counter[int](), []
        for number in range(min(batch, requests - sent)):
            if number % 250 == 0:
                attacker.clear_the_way()
            made = generator.request()
            status, body = attacker.send(made)
            statuses[status] += 1
            if status == 200 and body.startswith(b'{"kind"'):
                generator.learn(json.loads(body))
            if (status >= 500 or status == 0) and not any(text in body for text in RIGHTLY):
                worst.append(f"{status} {made.method} {made.target} {made.headers} {made.body[:2000]!r}\n"
                             f"    {body[:500]!r}")
        sent += batch
        attacker.clear_the_way()
        memory = resident(plane.processes["apiserver"].pid)
        yield Report(min(sent, requests), statuses, attacker.get_ms(), memory, worst)


def complaints(plane: ControlPlane) -> list[str]:
    """What the server logged and should not have: unexpected errors, with their tracebacks."""
    lines = (plane.folder / "apiserver.log").read_text().splitlines()
    bad = [line for line in lines if "Traceback" in line or '"level":"error"' in line.lower().replace(" ", "")]
    return [f"{line[:300]} … {line[-1500:]}" for line in bad]
