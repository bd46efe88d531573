"""AuthorizationConfiguration: who is asked whether a request is allowed, in order, several webhooks among them.

Each webhook has its own address, patience and memory, and conditions (expressions about `request`, the spec of a
SubjectAccessReview) that save it questions on which it has no opinion.
Source: Kubernetes documentation, "Configuring the API Server using an Authorization Config File"; KEP-3221.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from msgspec import field

from timonier.api import cel, names
from timonier.api.cel import STORED, CompileError, Environment, Failure, declare
from timonier.api.validation.causes import Causes
from timonier.apiserver.auth import decision, files
from timonier.apiserver.auth.files import Strict
from timonier.apiserver.auth.kept import Kept
from timonier.apiserver.auth.webhook import BadCondition, Condition, WebhookAuthoriser
from timonier.apiserver.calls import Webhook
from timonier.apiserver.request import Object
from timonier.kit.clock import Clock, Seconds

VERSIONS = ("v1", "v1beta1", "v1alpha1")
TYPES = ("AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook")
LONGEST_TIMEOUT: Seconds = 30.0
MOST_CONDITIONS = 64
DURATION = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+(?:\.[0-9]+)?)s)?(?:([0-9]+)ms)?")


class ConnectionInfo(Strict):
    type: str = ""
    kubeConfigFile: str | None = None


class MatchCondition(Strict):
    expression: str = ""


class WebhookPart(Strict):
    authorizedTTL: str = "5m"
    cacheAuthorizedRequests: bool = True
    unauthorizedTTL: str = "30s"
    cacheUnauthorizedRequests: bool = True
    timeout: str = ""
    subjectAccessReviewVersion: str = ""
    matchConditionSubjectAccessReviewVersion: str = ""
    failurePolicy: str = ""
    connectionInfo: ConnectionInfo = field(default_factory=ConnectionInfo)
    matchConditions: tuple[MatchCondition, ...] = ()


class AuthorizerPart(Strict):
    type: str = ""
    name: str = ""
    webhook: WebhookPart | None = None


class Configuration(Strict):
    authorizers: tuple[AuthorizerPart, ...] = ()


def from_file(path: Path, clock: Clock) -> list[str | decision.Authoriser]:
    """Who is asked: modes by their names, webhooks as they are. Raises CannotRun with all that is wrong."""
    found = files.read(path, "AuthorizationConfiguration", VERSIONS, Configuration)
    causes = Causes()
    check(found, causes)
    files.refuse(path, causes)
    return [webhook(each.webhook, clock) if each.webhook is not None else each.type for each in found.authorizers]


def webhook(part: WebhookPart, clock: Clock) -> WebhookAuthoriser:
    assert part.connectionInfo.kubeConfigFile is not None
    called = Webhook.from_file(Path(part.connectionInfo.kubeConfigFile), clock, limit=seconds(part.timeout) or 0.0)
    return WebhookAuthoriser(
        called, Kept(clock), (seconds(part.authorizedTTL) or 0.0) if part.cacheAuthorizedRequests else 0.0,
        (seconds(part.unauthorizedTTL) or 0.0) if part.cacheUnauthorizedRequests else 0.0,
        part.failurePolicy == "Deny", [condition(each.expression) for each in part.matchConditions])


def check(found: Configuration, causes: Causes) -> None:
    if not found.authorizers:
        causes.required("authorizers", "at least one authorization mode must be defined")
    types: set[str] = set()
    seen: set[str] = set()
    for index, each in enumerate(found.authorizers):
        path = f"authorizers[{index}]"
        if not causes.one_of({"type": each.type}, path, "type", TYPES):
            continue
        if each.type in types and each.type != "Webhook":
            causes.duplicate(f"{path}.type", each.type)
            continue
        types.add(each.type)
        if not each.name:
            causes.required(f"{path}.name")
        elif each.name in seen:
            causes.duplicate(f"{path}.name", each.name)
        elif wrong := names.dns_subdomain(each.name):
            causes.invalid(f"{path}.name", each.name, f"authorizer name is invalid: {', '.join(wrong)}")
        seen.add(each.name)
        if each.type != "Webhook":
            if each.webhook is not None:
                causes.invalid(f"{path}.webhook", "non-null", "may only be specified when type=Webhook")
        elif each.webhook is None:
            causes.required(f"{path}.webhook", "required when type=Webhook")
        else:
            check_webhook(each.webhook, path, causes)


def check_webhook(part: WebhookPart, path: str, causes: Causes) -> None:
    check_duration(part.timeout, f"{path}.timeout", "must be > 0s and <= 30s", LONGEST_TIMEOUT, causes)
    for ttl in ("authorizedTTL", "unauthorizedTTL"):
        check_duration(getattr(part, ttl), f"{path}.{ttl}", "must be > 0s", float("inf"), causes)
    given = {each: getattr(part, each) for each in ("subjectAccessReviewVersion", "failurePolicy")}
    causes.one_of(given, path, "subjectAccessReviewVersion", ("v1",))
    causes.one_of(given, path, "failurePolicy", ("NoOpinion", "Deny"))
    version = part.matchConditionSubjectAccessReviewVersion
    if version not in ("", "v1"):
        causes.unsupported(f"{path}.matchConditionSubjectAccessReviewVersion", version, ("v1",))
    elif part.matchConditions and not version:
        causes.required(f"{path}.matchConditionSubjectAccessReviewVersion",
                        "required if match conditions are specified")
    check_connection(part.connectionInfo, f"{path}.connectionInfo", causes)
    check_conditions(part.matchConditions, f"{path}.matchConditions", causes)


def check_duration(text: str, path: str, rule: str, most: Seconds, causes: Causes) -> None:
    found = seconds(text)
    if not text or found == 0:
        causes.required(path)
    elif found is None or found > most:
        causes.invalid(path, text, rule)


def check_connection(info: ConnectionInfo, path: str, causes: Causes) -> None:
    if info.type == "InClusterConfig":
        causes.invalid(f"{path}.type", info.type, "this server is never inside of its own cluster")
    elif causes.one_of({"type": info.type}, path, "type", ("KubeConfigFile",)):
        file = info.kubeConfigFile
        if not file:
            causes.required(f"{path}.kubeConfigFile")
        elif not Path(file).is_absolute():
            causes.invalid(f"{path}.kubeConfigFile", file, "must be an absolute path")
        elif not Path(file).is_file():
            causes.invalid(f"{path}.kubeConfigFile", file, "must be a regular file")


def check_conditions(conditions: Sequence[MatchCondition], path: str, causes: Causes) -> None:
    if len(conditions) > MOST_CONDITIONS:
        causes.too_many(path, len(conditions), MOST_CONDITIONS)
        return
    for index, each in enumerate(conditions):
        place = f"{path}[{index}].expression"
        if not each.expression.strip():
            causes.required(place)
        elif any(each.expression == other.expression for other in conditions[:index]):
            causes.duplicate(place, each.expression)
        else:
            try:
                found = program(each.expression).type
            except CompileError as error:
                causes.invalid(place, each.expression, f"{error.stage} failed: {error}")
            else:
                if str(found) != "bool":
                    causes.invalid(place, each.expression, f"must evaluate to bool but got {found}")


def seconds(text: str) -> Seconds | None:
    """A duration as Go writes it (`1h30m`, `2.5s`); None where it is none."""
    found = DURATION.fullmatch(text)
    if not text or found is None:
        return None
    hours, minutes, whole, milli = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + whole + milli / 1000


def text(*names_: str) -> Object:
    return {name: {"type": "string"} for name in names_}


TEXTS: Object = {"type": "array", "items": {"type": "string"}}
SELECTOR: Object = {"type": "object", "properties": text("rawSelector") | {"requirements": {
    "type": "array", "items": {"type": "object", "properties": text("key", "operator") | {"values": TEXTS}}}}}
SPEC: Object = {"type": "object", "properties": text("user", "uid") | {
    "groups": TEXTS, "extra": {"type": "object", "additionalProperties": TEXTS},
    "nonResourceAttributes": {"type": "object", "properties": text("path", "verb")},
    "resourceAttributes": {"type": "object", "properties": text(
        "namespace", "verb", "group", "version", "resource", "subresource", "name") | {
            "fieldSelector": SELECTOR, "labelSelector": SELECTOR}}}}
"""What a condition sees: the spec of a SubjectAccessReview, v1."""
ALWAYS: Object = {"user": "", "uid": "", "groups": [], "extra": {}}
ALWAYS_OF_RESOURCES = dict.fromkeys(("namespace", "verb", "group", "version", "resource", "subresource", "name"), "")


@cache
def program(expression: str) -> cel.Program:
    """Raises CompileError."""
    declared = declare(SPEC, "kubernetes.SubjectAccessReviewSpec")
    assert declared is not None
    return cel.compile(expression, Environment({"request": declared}, STORED))


def condition(expression: str) -> Condition:
    compiled = program(expression)

    def holds(spec: Object) -> bool:
        request = ALWAYS | spec
        if resource := spec.get("resourceAttributes"):
            request["resourceAttributes"] = ALWAYS_OF_RESOURCES | resource
        try:
            return bool(compiled({"request": request}))
        except Failure as error:
            raise BadCondition(f"expression '{expression}' resulted in error: {error}") from error

    return holds
