"""One request on its way through its stages, and the events that tell of it."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from timonier.api import times
from timonier.api.errors import ApiError
from timonier.apiserver.audit.policy import API_VERSION, LEVELS, Treatment
from timonier.apiserver.documents import Answer
from timonier.apiserver.request import Attributes, Request, User

if TYPE_CHECKING:
    from timonier.apiserver.audit.auditor import Auditor

log = logging.getLogger(__name__)

Object = dict[str, Any]

LONGEST_AGENT = 1024
SWITCHING = 101
JSON_TYPES, YAML_TYPES = ("", "application/json"), ("application/yaml", "application/x-yaml", "text/yaml")


class Record:
    """What is known of a request so far. A new event is made of it for every stage that is not left out."""

    def __init__(self, auditor: Auditor, request: Request, attributes: Attributes, treatment: Treatment) -> None:
        self.auditor, self.request, self.treatment = auditor, request, treatment
        self.user, self.attributes = request.user, attributes
        self.received = auditor.clock.now()
        self.status: Object | None = None
        self.asked: Any = None
        self.answered: Any = None
        self.starting: asyncio.Task[bool] | None = None
        self.over = False

    @property
    def depth(self) -> int:
        return LEVELS.index(self.treatment.level)

    async def take(self, stage: str) -> bool:
        """Hand on an event about a stage; whether it is recorded where it has to be."""
        if stage in self.treatment.omit_stages:
            return True
        return await self.auditor.take(self.event(stage), strict=stage == "RequestReceived")

    def event(self, stage: str) -> Object:
        request = self.request
        event: Object = {"kind": "Event", "apiVersion": API_VERSION, "level": self.treatment.level}
        event |= {"auditID": request.audit_id or str(uuid4()), "stage": stage, "requestURI": request.uri,
                  "verb": self.attributes.verb, "user": described(self.user)}
        if request.user is not self.user:
            event["impersonatedUser"] = described(request.user)
        event["sourceIPs"] = list(dict.fromkeys(addresses(request)))
        if agent := request.headers.get("user-agent", ""):
            event["userAgent"] = agent if len(agent) <= LONGEST_AGENT else f"{agent[:LONGEST_AGENT]}...TRUNCATED"
        if self.attributes.is_resource:
            event["objectRef"] = self.reference()
        optional = {"responseStatus": self.status, "requestObject": self.asked, "responseObject": self.answered}
        event |= {key: value for key, value in optional.items() if value is not None}
        event |= {"requestReceivedTimestamp": times.micro(self.received),
                  "stageTimestamp": times.micro(self.auditor.clock.now())}
        if notes := {key: value for key, (value, level) in request.audit_annotations.items()
                     if LEVELS.index(level) <= self.depth}:
            event["annotations"] = notes
        return event

    def reference(self) -> Object:
        """What the request is about, by its path and, as far as that does not say, by the object in its body."""
        attributes, metadata = self.attributes, self.asked_metadata()
        found = {"resource": attributes.resource, "namespace": attributes.namespace or metadata.get("namespace", ""),
                 "name": attributes.name or metadata.get("name", ""), "uid": metadata.get("uid", ""),
                 "apiGroup": attributes.group, "apiVersion": attributes.version,
                 "resourceVersion": metadata.get("resourceVersion", ""), "subresource": attributes.subresource}
        return {key: value for key, value in found.items() if value}

    def asked_metadata(self) -> Object:
        if self.attributes.verb not in ("create", "update") or not self.request.body:
            return {}
        asked = self.body_of(self.request)
        metadata = asked.get("metadata") if isinstance(asked, dict) else None
        return metadata if isinstance(metadata, dict) else {}

    def body_of(self, request: Request) -> Any:
        return decoded(request.headers.get("content-type", ""), request.body)

    def begins(self) -> None:
        """A stream begins: the connection is its own from now on."""
        self.status = {"metadata": {}, "code": SWITCHING if "upgrade" in self.request.headers else 200}
        self.starting = asyncio.ensure_future(self.take("ResponseStarted"))

    async def ends(self, answer: Answer | None, *, stream: bool) -> None:
        """The answer is sent, or the stream is over."""
        if self.over:
            return
        if self.starting is not None:
            await self.starting
        if answer is not None:
            self.answer(answer)
        elif self.status is None:
            self.status = {"metadata": {}, "status": "Success", "message": "Connection closed early", "code": 200}
        if self.depth >= LEVELS.index("Request") and self.request.body:
            self.asked = self.trimmed(self.body_of(self.request))
        if stream and self.starting is None:
            await self.take("ResponseStarted")
        await self.take("ResponseComplete")

    async def panics(self, error: Exception) -> None:
        """The server failed at the request, which is a defect of it."""
        self.over = True
        self.status = {"metadata": {}, "status": "Failure", "message": f"APIServer panic'd: {error}",
                       "reason": "InternalError", "code": 500}
        await self.take("Panic")

    def answer(self, answer: Answer) -> None:
        kind = dict(answer.headers).get("content-type", "")
        self.status = {"metadata": {}, "code": answer.status}
        whole = self.depth >= LEVELS.index("RequestResponse")
        if answer.status < 300 and not whole:
            return
        body = decoded(kind, answer.body)
        if isinstance(body, dict) and body.get("kind") == "Status" and body.get("apiVersion") == "v1":
            self.status = {key: value for key, value in body.items() if key not in ("kind", "apiVersion")} | {
                "code": answer.status}
        if whole and self.attributes.is_resource:
            self.answered = self.trimmed(body)

    def trimmed(self, body: Any) -> Any:
        """An object, or a list's or table's objects, without managedFields where the policy leaves them out."""
        if self.treatment.omit_managed_fields and isinstance(body, dict):
            rows = [row.get("object") for row in body.get("rows") or () if isinstance(row, dict)]
            for obj in (body, *(body.get("items") or ()), *rows):
                if isinstance(obj, dict) and isinstance(obj.get("metadata"), dict):
                    obj["metadata"].pop("managedFields", None)
        return body


def decoded(content_type: str, body: bytes) -> Any:
    """A body as plain values; None where it is none that can be read, which has been refused for that."""
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind in JSON_TYPES or kind.endswith("+json"):
            return orjson.loads(body) if body else None
        if kind in YAML_TYPES or kind.endswith("+yaml"):
            from timonier.apiserver import yamls
            return yamls.load(body)
        if kind == "application/vnd.kubernetes.protobuf":
            from timonier.api.protobuf import envelope
            return envelope.decode(body)
    except (ValueError, LookupError, ApiError) as error:
        log.debug("a body is not in the audit log", extra={"content_type": kind, "error": str(error)})
    return None


def described(user: User) -> Object:
    found = {"username": user.name, "uid": user.uid, "groups": list(user.groups),
             "extra": {key: list(values) for key, values in user.extra.items()}}
    return {key: value for key, value in found.items() if value}


def addresses(request: Request) -> Iterator[str]:
    """Where a request came from, as far as it says: proxies first, then who is on the connection."""
    for header in ("x-forwarded-for", "x-real-ip"):
        for part in request.headers.get(header, "").split(","):
            try:
                yield str(ipaddress.ip_address(part.strip()))
            except ValueError:
                continue
    if request.client:
        yield request.client
