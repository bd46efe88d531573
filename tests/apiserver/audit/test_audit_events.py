"""What the audit log says of requests that walked through the whole server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.api_server import config, running

from timonier.api.errors import Unauthorized
from timonier.apiserver.audit.auditor import Auditor, Backend
from timonier.apiserver.audit.policy import Policy
from timonier.apiserver.request import Request, User
from timonier.kit.clock import FakeClock

CONFIGS = "/api/v1/namespaces/default/configmaps"


class Kept:
    """A sink that remembers; `broken` makes it one that loses everything."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken, self.events = broken, list[dict[str, Any]]()

    async def deliver(self, events: Sequence[bytes]) -> None:
        if self.broken:
            raise OSError("disk full")
        self.events += [json.loads(event) for event in events]

    def stages(self) -> list[str]:
        return [event["stage"] for event in self.events]


def auditor(sink: Kept, level: str = "Metadata", *, strict: bool = False, largest: int = 0, **more: Any) -> Auditor:
    policy = Policy({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": level}], **more})
    return Auditor(policy, [Backend("log", sink, strict, largest)], FakeClock())


async def test_an_event_has_what_the_documentation_promises(tmp_path: Path) -> None:
    sink = Kept()
    async with running(tmp_path, auditor=auditor(sink)) as cluster:
        reply = await cluster.post(f"{CONFIGS}?dryRun=All", config(), user_agent="kubectl/v1.37",
                                   x_forwarded_for="203.0.113.7, nonsense")
    assert sink.stages() == ["RequestReceived", "ResponseComplete"]
    event = sink.events[1]
    assert {key: event[key] for key in ("kind", "apiVersion", "level", "verb", "requestURI", "userAgent")} == {
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "verb": "create",
        "requestURI": f"{CONFIGS}?dryRun=All", "userAgent": "kubectl/v1.37"}
    assert event["auditID"] == reply.headers["audit-id"]
    assert event["user"] == {"username": "admin", "groups": ["system:masters"]}
    assert event["sourceIPs"] == ["203.0.113.7", "127.0.0.1"]
    assert event["objectRef"] == {"resource": "configmaps", "namespace": "default", "name": "settings",
                                  "apiVersion": "v1"}
    assert event["responseStatus"] == {"metadata": {}, "code": 201}
    assert event["annotations"]["authorization.k8s.io/decision"] == "allow"
    assert "requestObject" not in event


async def test_level_request_response_has_the_body_and_the_answer(tmp_path: Path) -> None:
    sink = Kept()
    async with running(tmp_path, auditor=auditor(sink, "RequestResponse", omitManagedFields=True)) as cluster:
        await cluster.post(CONFIGS, config(key="value"))
    event = sink.events[-1]
    assert event["requestObject"]["data"] == event["responseObject"]["data"] == {"key": "value"}
    assert event["responseObject"]["metadata"]["uid"]
    assert "managedFields" not in event["responseObject"]["metadata"]


async def test_level_request_has_no_answer(tmp_path: Path) -> None:
    sink = Kept()
    async with running(tmp_path, auditor=auditor(sink, "Request")) as cluster:
        await cluster.post(CONFIGS, config())
    assert "requestObject" in sink.events[-1]
    assert "responseObject" not in sink.events[-1]


async def test_a_refusal_is_told_with_its_status(tmp_path: Path) -> None:
    sink = Kept()
    async with running(tmp_path, auditor=auditor(sink)) as cluster:
        await cluster.get(f"{CONFIGS}/nothing")
    status = sink.events[-1]["responseStatus"]
    assert (status["code"], status["reason"], status["status"]) == (404, "NotFound", "Failure")
    assert status["message"] == 'configmaps "nothing" not found'


async def test_who_acts_as_another_is_told_beside_whom_they_are(tmp_path: Path) -> None:
    sink = Kept()
    async with running(tmp_path, auditor=auditor(sink)) as cluster:
        await cluster.get(CONFIGS, impersonate_user="jane")
    event = sink.events[-1]
    assert event["user"]["username"] == "admin"
    assert event["impersonatedUser"] == {"username": "jane", "groups": ["system:authenticated"]}
    assert event["annotations"]["authorization.k8s.io/decision"] == "forbid"


async def test_a_watch_tells_when_it_begins_and_when_it_is_over(tmp_path: Path) -> None:
    sink = Kept()
    async with running(tmp_path, auditor=auditor(sink)) as cluster:
        taken = await cluster.watch(f"{CONFIGS}?watch=1")
        assert sink.stages() == ["RequestReceived", "ResponseStarted"]
        taken.close()
        await asyncio.gather(*cluster.watches)
    assert sink.stages()[2:] == ["ResponseComplete"]
    assert sink.events[-1]["responseStatus"] == {"metadata": {}, "code": 200}


async def test_stages_that_the_policy_leaves_out_are_not_told(tmp_path: Path) -> None:
    sink = Kept()
    async with running(tmp_path, auditor=auditor(sink, omitStages=["RequestReceived"])) as cluster:
        await cluster.get(CONFIGS)
    assert sink.stages() == ["ResponseComplete"]


async def test_a_defect_of_the_server_is_told_as_panic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("oops")

    sink = Kept()
    async with running(tmp_path, auditor=auditor(sink)) as cluster:
        monkeypatch.setattr("timonier.apiserver.routes.dispatch", broken)
        assert (await cluster.get(CONFIGS)).code == 500
    assert sink.stages() == ["RequestReceived", "Panic"]
    assert sink.events[-1]["responseStatus"]["message"] == "APIServer panic'd: oops"


async def test_who_cannot_say_who_they_are_is_told_once(tmp_path: Path) -> None:
    class Nobody:
        async def authenticate(self, request: Request) -> User:
            raise Unauthorized("Unauthorized")

    sink = Kept()
    async with running(tmp_path, auditor=auditor(sink)) as cluster:
        object.__setattr__(cluster.server.access, "authenticator", Nobody())
        await cluster.get(CONFIGS, authorization="Bearer nonsense")
    assert sink.stages() == ["ResponseStarted"]
    assert sink.events[0]["responseStatus"]["message"] == "Authentication failed, attempted: bearer"
    assert sink.events[0]["user"] == {}


@pytest.mark.parametrize(("strict", "code"), [pytest.param(False, 201, id="blocking"),
                                              pytest.param(True, 500, id="blocking-strict")])
async def test_only_a_strict_log_refuses_what_it_cannot_record(tmp_path: Path, strict: bool, code: int) -> None:
    made = auditor(Kept(broken=True), strict=strict)
    async with running(tmp_path, auditor=made) as cluster:
        assert (await cluster.post(CONFIGS, config())).code == code
    assert made.errors["log"] > 0


async def test_an_event_that_is_too_large_loses_its_objects_and_says_so(tmp_path: Path) -> None:
    sink = Kept()
    async with running(tmp_path, auditor=auditor(sink, "RequestResponse", largest=2000)) as cluster:
        await cluster.post(CONFIGS, config(key="x" * 3000))
    assert "requestObject" not in sink.events[-1]
    assert sink.events[-1]["annotations"]["audit.k8s.io/truncated"] == "true"
