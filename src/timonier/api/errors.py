"""One tree of API errors, each carrying its HTTP code and reason.

Source: Kubernetes API conventions, "Response Status Kind".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is wrong with one field: `FieldValueRequired`, `spec.containers[0].image`, `Required value`."""

    reason: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class ApiError(Exception):
    """An answer other than success. `details` is the Status's details without causes; all of it reaches the user."""

    code = 500
    reason = "InternalError"
    plain = False
    """Whether the message alone is answered, as text, since kube-apiserver has no Status for it."""

    def __init__(self, message: str, *, group: str = "", resource: str = "", name: str = "", uid: str = "",
                 causes: Sequence[Cause] = (), retry_after: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.group, self.resource, self.name, self.uid = group, resource, name, uid
        self.causes, self.retry_after = tuple(causes), retry_after

    def details(self) -> dict[str, Any]:
        details: dict[str, Any] = {
            "name": self.name, "group": self.group, "kind": self.resource, "uid": self.uid,
            "causes": [{"reason": c.reason, "message": c.message, "field": c.field} for c in self.causes],
            "retryAfterSeconds": self.retry_after,
        }
        return {key: value for key, value in details.items() if value}

    def status(self) -> dict[str, Any]:
        """The `Status` object that goes over the wire."""
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                                  "message": self.message, "reason": self.reason}
        if details := self.details():
            status["details"] = details
        return status | {"code": self.code}


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class Conflict(ApiError):
    """The object changed since it was read; read again and retry."""

    code, reason = 409, "Conflict"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Gone(ApiError):
    code, reason = 410, "Gone"


class Expired(ApiError):
    """The revision asked for was compacted; list again."""

    code, reason = 410, "Expired"


class RequestEntityTooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"


def not_found(group: str, resource: str, name: str) -> NotFound:
    return NotFound(f'{qualified(group, resource)} "{name}" not found', group=group, resource=resource, name=name)


def already_exists(group: str, resource: str, name: str) -> AlreadyExists:
    return AlreadyExists(f'{qualified(group, resource)} "{name}" already exists',
                         group=group, resource=resource, name=name)


def conflict(group: str, resource: str, name: str, why: str) -> Conflict:
    return Conflict(f'Operation cannot be fulfilled on {qualified(group, resource)} "{name}": {why}',
                    group=group, resource=resource, name=name)


def forbidden(group: str, resource: str, name: str, why: str) -> Forbidden:
    named = f'{qualified(group, resource)} "{name}"' if name else qualified(group, resource)
    return Forbidden(f"{named} is forbidden: {why}", group=group, resource=resource, name=name)


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> Invalid:
    """422 with every cause at once; the details name the kind, not the resource, as Kubernetes does."""
    texts = [str(cause) for cause in dict.fromkeys(causes)]
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return Invalid(f'{qualified(group, kind)} "{name}" is invalid: {text}',
                   group=group, resource=kind, name=name, causes=causes)


def qualified(group: str, resource: str) -> str:
    """`deployments.apps`, `pods`; for kinds `Deployment.apps`, `Pod`."""
    return f"{resource}.{group}" if group else resource
