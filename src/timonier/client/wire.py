"""Objects and errors as they travel: Structs to bytes and back, `Status` answers to the error tree. Pure.

The generated types refuse JSON nulls, which the API treats as absence; where one occurs it is dropped and the object
decoded again, so the common case pays nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

from timonier.api import errors, kinds
from timonier.api.types import meta_v1
from timonier.client import custom


class Object(Protocol):
    """What every type of an API object has."""

    apiVersion: ClassVar[str]
    kind: ClassVar[str]
    metadata: meta_v1.ObjectMeta


T = TypeVar("T", bound=Object)


class Partial(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The metadata of an object of any kind; which kind, its reader knows."""

    apiVersion: ClassVar[str] = "meta.k8s.io/v1"
    kind: ClassVar[str] = "PartialObjectMetadata"
    metadata: meta_v1.ObjectMeta = msgspec.field(default_factory=meta_v1.ObjectMeta)


class Listed(msgspec.Struct, Generic[T], kw_only=True):
    """A list of one kind, or a page of it."""

    items: list[T] = msgspec.field(default_factory=list)
    metadata: meta_v1.ListMeta = msgspec.field(default_factory=meta_v1.ListMeta)


class WatchLine(msgspec.Struct):
    """One line of a watch: what happened, and to what, not yet decoded."""

    type: str
    object: msgspec.Raw


class Undecodable(errors.ApiError):
    """The server's bytes do not fit the type asked for."""

    code, reason = 500, "InternalError"


def kind_of(cls: type[Object]) -> kinds.Kind:
    """The row of a generated type in the table of kinds, or that of a custom one."""
    if issubclass(cls, custom.CustomObject):
        return custom.row(cls)
    row = kinds.find(cls.apiVersion, cls.kind)
    if row is None:
        raise TypeError(f"{cls.__name__} is not a kind that is served")
    return row


def encode(obj: Object) -> bytes:
    """An object as JSON, its kind and apiVersion first."""
    head = f'{{"kind":"{obj.kind}","apiVersion":"{obj.apiVersion}"'.encode()
    body = msgspec.json.encode(obj)
    return head + (b"}" if body == b"{}" else b"," + body[1:])


@functools.lru_cache(maxsize=256)
def decoder(cls: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(cls)


def decode(cls: Any, data: bytes | msgspec.Raw) -> Any:
    """An instance of `cls`. Raises Undecodable."""
    try:
        return decoder(cls).decode(data)
    except msgspec.ValidationError:
        pass
    except msgspec.DecodeError as error:
        raise Undecodable(f"the server's answer is not JSON: {error}") from error
    try:
        return msgspec.convert(without_nulls(msgspec.json.decode(data)), cls)
    except msgspec.DecodeError as error:  # the start did not fit the type, and the rest is no JSON
        raise Undecodable(f"the server's answer does not fit {cls}: {error}") from error


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def error_of(code: int, headers: Mapping[str, str], body: bytes) -> errors.ApiError:
    """The error that an unsuccessful answer stands for."""
    retry_after = headers.get("retry-after", "")
    try:
        status: meta_v1.Status = decode(meta_v1.Status, body)
    except Undecodable:
        status = meta_v1.Status()
    if not status.reason and not status.message:
        text = body[:300].decode("utf-8", "replace").strip()
        status = meta_v1.Status(code=code, message=text or f"the server answered {code}")
    error = of_status(status, code)
    if retry_after.isdigit():
        error.retry_after = int(retry_after)
    return error


def of_status(status: meta_v1.Status, code: int) -> errors.ApiError:
    """The error of a `Status`; one whose reason is unknown keeps its code and reason."""
    details = status.details or meta_v1.StatusDetails()
    cls = classes().get((status.code or code, status.reason)) or by_code().get(status.code or code, errors.ApiError)
    error = cls(status.message, group=details.group, resource=details.kind, name=details.name, uid=details.uid,
                causes=[errors.Cause(c.reason, c.field, c.message) for c in details.causes],
                retry_after=details.retryAfterSeconds or 0)
    error.code, error.reason = status.code or code, status.reason or cls.reason
    return error


@functools.cache
def classes() -> dict[tuple[int, str], type[errors.ApiError]]:
    """The tree's own classes; what other modules derive from it never comes over the wire."""
    return {(cls.code, cls.reason): cls for cls in errors.ApiError.__subclasses__()
            if cls.__module__ == errors.__name__}


@functools.cache
def by_code() -> dict[int, type[errors.ApiError]]:
    """The class for a code alone; of two with one code, the one that is named first in the tree."""
    return {code: cls for (code, _), cls in reversed(classes().items())}
