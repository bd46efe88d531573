"""AdmissionReview: the question to a webhook, and what its answer means. Pure.

Source: Kubernetes documentation, "Webhook request and response"; API reference, admission.k8s.io/v1.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from timonier.api.errors import ApiError
from timonier.apiserver.admission.webhooks.rules import Place
from timonier.apiserver.request import Attributes, Object, User

GROUP = "admission.k8s.io"
VERSIONS = ("v1", "v1beta1")
JSON_PATCH = "JSONPatch"
OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


class Unusable(Exception):
    """An answer that does not hold to the protocol; the message says in what."""

    prefix = "received invalid webhook response"


class Undecodable(Unusable):
    """An answer that is right but for its patch."""

    prefix = "received undecodable patch in webhook response"


class Denied(ApiError):
    """A webhook said no; the answer to the user is what it said, or 400 where it did not say."""

    code, reason = 400, ""

    def __init__(self, webhook: str, result: Object) -> None:
        why = result.get("message") or result.get("reason") or ""
        start = f'admission webhook "{webhook}" denied the request'
        super().__init__(f"{start}: {why}" if why else f"{start} without explanation")
        self.code = max(result.get("code") or 0, 400)
        self.reason = result.get("reason") or ""
        self.given: Object = result.get("details") or {}

    def details(self) -> dict[str, Any]:
        return self.given


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a webhook decided."""

    allowed: bool
    patch: list[Any] = field(default_factory=list)
    result: Object = field(default_factory=dict)
    warnings: Sequence[str] = ()
    annotations: dict[str, str] = field(default_factory=dict)


def version_of(accepted: Sequence[str]) -> str:
    """The first version of reviews that a webhook accepts and we know. Raises Unusable."""
    found = next((version for version in accepted if version in VERSIONS), "")
    if not found:
        raise Unusable("webhook does not accept known AdmissionReview versions (v1, v1beta1)")
    return found


@dataclass(frozen=True, slots=True)
class Shown:
    """What a webhook is shown: the objects in the version of its rule, and what kind and resource that is."""

    place: Place
    apiVersion: str
    kind: str
    obj: Object | None
    old: Object | None


def review(version: str, uid: str, attributes: Attributes, asked: tuple[str, str], shown: Shown) -> Object:
    """The question. `asked` is the apiVersion and kind that the client wrote."""
    subresource = {"subResource": attributes.subresource, "requestSubResource": attributes.subresource} \
        if attributes.subresource else {}
    request = {
        "uid": uid, "kind": kind_of(shown.apiVersion, shown.kind),
        "resource": resource_of(shown.place.group, shown.place.version, shown.place.resource),
        "requestKind": kind_of(*asked),
        "requestResource": resource_of(attributes.group, attributes.version, attributes.resource), **subresource,
        "name": attributes.name, "namespace": namespace_of(attributes), "operation": attributes.operation,
        "userInfo": user_info(attributes.user), "object": shown.obj, "oldObject": shown.old,
        "dryRun": attributes.dry_run, "options": options_of(attributes)}
    for absent in ("name", "namespace"):
        if not request[absent]:
            del request[absent]
    return {"kind": "AdmissionReview", "apiVersion": f"{GROUP}/{version}", "request": request}


def kind_of(apiVersion: str, kind: str) -> Object:
    group, _, version = apiVersion.rpartition("/")
    return {"group": group, "version": version, "kind": kind}


def resource_of(group: str, version: str, resource: str) -> Object:
    return {"group": group, "version": version, "resource": resource}


def namespace_of(attributes: Attributes) -> str:
    """A namespace counts as being in itself."""
    itself = not attributes.group and attributes.resource == "namespaces"
    return attributes.name if itself else attributes.namespace


def user_info(user: User) -> Object:
    given: Object = {"username": user.name, "uid": user.uid, "groups": list(user.groups),
                     "extra": {key: list(values) for key, values in user.extra.items()}}
    return {key: value for key, value in given.items() if value or key == "username"}


def options_of(attributes: Attributes) -> Object | None:
    """What the client asked for beside the object; connections have nothing of the kind."""
    kind = OPTIONS.get(attributes.operation)
    if kind is None:
        return None
    given = {key: value for key, value in attributes.options.items() if value not in ("", None)}
    dry_run: Object = {"dryRun": ["All"]} if attributes.dry_run else {}
    return given | dry_run | {"kind": kind, "apiVersion": "meta.k8s.io/v1"}


def verdict(version: str, uid: str, body: bytes, *, mutating: bool) -> Verdict:
    """What an answer means. Raises Unusable."""
    answer = parsed(body)
    response = answer.get("response")
    if response is None:
        raise Unusable("webhook response was absent")
    expect(response, dict, "response")
    if version == "v1":
        check_identity(answer, response, uid)
    patch = patch_of(response, mutating=mutating, strict=version == "v1")
    result, annotations = response.get("status") or {}, response.get("auditAnnotations") or {}
    warnings, allowed = response.get("warnings") or [], response.get("allowed", False)
    for value, kind, name in ((result, dict, "status"), (annotations, dict, "auditAnnotations"),
                              (warnings, list, "warnings"), (allowed, bool, "allowed"),
                              (result.get("code", 0), int, "status.code"),
                              (result.get("details") or {}, dict, "status.details"),
                              *((result.get(key, ""), str, f"status.{key}") for key in ("message", "reason")),
                              *((text, str, "warnings") for text in warnings),
                              *((text, str, "auditAnnotations") for text in annotations.values())):
        expect(value, kind, name)
    return Verdict(allowed, patch, result, warnings, annotations)


def parsed(body: bytes) -> Object:
    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unusable(f"couldn't get version/kind; json parse error: {error}") from error
    expect(answer, dict, "AdmissionReview")
    found: Object = answer
    return found


def expect(value: Any, kind: type, name: str) -> None:
    if not isinstance(value, kind):
        raise Unusable(f"json: cannot unmarshal {type(value).__name__} into field {name} of type {kind.__name__}")


def check_identity(answer: Object, response: Object, uid: str) -> None:
    """Whether this is the answer to our question, in our version."""
    if response.get("uid") != uid:
        raise Unusable(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    found = f"{answer.get('apiVersion', '')}, Kind={answer.get('kind', '')}"
    if found != f"{GROUP}/v1, Kind=AdmissionReview":
        raise Unusable(f"expected webhook response of {GROUP}/v1, Kind=AdmissionReview, got {found}")


def patch_of(response: Object, *, mutating: bool, strict: bool) -> list[Any]:
    """The operations of an answer's patch."""
    text, kind = response.get("patch"), response.get("patchType")
    if not mutating:
        if strict and text:
            raise Unusable("validating webhook may not return response.patch")
        if strict and kind is not None:
            raise Unusable("validating webhook may not return response.patchType")
        return []
    if strict and text and kind is None:
        raise Unusable("webhook returned response.patch but not response.patchType")
    if strict and not text and kind is not None:
        raise Unusable("webhook returned response.patchType but not response.patch")
    if strict and text and kind != JSON_PATCH:
        raise Unusable(f'webhook returned invalid response.patchType of "{kind}"')
    if not text:
        return []
    expect(text, str, "response.patch")
    try:
        operations: Any = orjson.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise Undecodable(str(error)) from error
    if not isinstance(operations, list):
        raise Undecodable("json: cannot unmarshal into Go value of type jsonpatch.Patch")
    return operations
