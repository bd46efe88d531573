"""Objects as bytes: how they are encoded for the store, and how resourceVersion gets into them on the way out.

An object is encoded once, when it is written: JSON that starts with kind, apiVersion and metadata, without a
resourceVersion, since that is the revision of the write and not known before it. Reading splices it in.
"""

from __future__ import annotations

from typing import Any

import orjson

from timonier.api.errors import ApiError, BadRequest
from timonier.api.kinds import Kind

Object = dict[str, Any]

METADATA = b'"metadata":{'
PRIVATE = "/timonier/"
"""Where the server keeps what is no object, such as claims on ports."""
LARGEST = 1536 * 1024
"""Bytes of an object in the store."""
UNSTORED = frozenset({"resourceVersion", "selfLink"})
"""Fields of metadata that an object has only on its way."""


def head(kind: Kind) -> bytes:
    """How every stored object of a kind begins."""
    return b'{"kind":"%b","apiVersion":"%b","metadata":{' % (kind.kind.encode(), kind.storage.encode())


class TooLargeToStore(ApiError):
    """An object beyond what etcd takes; kube-apiserver passes its words on, and gives them no reason."""

    code, reason = 500, ""

    def __init__(self) -> None:
        super().__init__("etcdserver: request is too large")


class TooDeep(BadRequest):
    """Values within values within values, beyond what can be handled."""

    def __init__(self) -> None:
        super().__init__("the object or the patch is nested too deeply: exceeded max depth")


def is_too_deep(error: Exception) -> bool:
    """Whether something failed because what it was given is nested too deeply for it."""
    return isinstance(error, RecursionError) or (
        isinstance(error, TypeError) and str(error) == "Recursion limit reached")


def encode(obj: Object) -> bytes:
    """An object for the store. Its resourceVersion and selfLink, where it has them, are left out.

    Raises TooLargeToStore, and, where it is nested too deeply, what `is_too_deep` knows.
    """
    metadata = obj["metadata"]
    if metadata.keys() & UNSTORED:
        metadata = {key: value for key, value in metadata.items() if key not in UNSTORED}
    whole = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": metadata} | obj | {"metadata": metadata}
    # As deep as an object may lie in what it is answered in, a list of events of it say: else nobody could read it.
    data = orjson.dumps([[[[[[[[whole]]]]]]]])[8:-8]
    if len(data) > LARGEST:
        raise TooLargeToStore
    return data


def splice(value: bytes, revision: int) -> bytes:
    """The stored bytes with resourceVersion as the first field of metadata.

    Metadata is never empty (it has a name) and is the first object inside, so its place is the first `"metadata":{`.
    """
    at = value.index(METADATA) + len(METADATA)
    return b'%b"resourceVersion":"%d",%b' % (value[:at], revision, value[at:])


def decode(value: bytes) -> Object:
    obj: Object = orjson.loads(value)
    return obj


def read(value: bytes, revision: int) -> Object:
    """The object of stored bytes, with its resourceVersion."""
    obj = decode(value)
    obj["metadata"]["resourceVersion"] = str(revision)
    return obj


def metadata_of(obj: Object) -> Object:
    """An object's metadata, made where it has none."""
    found = obj.get("metadata")
    if found is None:
        found = obj["metadata"] = {}
    metadata: Object = found
    return metadata
