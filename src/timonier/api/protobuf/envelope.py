"""Objects that say what they are, and the events of watches.

An envelope is four bytes, then `runtime.Unknown`: apiVersion and kind, and the object's own message as bytes. A list
holds the messages of its items; so does a watch, whose events are each an envelope in a `WatchEvent` behind its length.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from timonier.api.kinds import find
from timonier.api.protobuf import BadProtobuf, NotInProtobuf
from timonier.api.protobuf.decode import decoder
from timonier.api.protobuf.encode import encoder
from timonier.api.protobuf.fields import known
from timonier.api.protobuf.special import MAGIC, META, parts
from timonier.api.protobuf.wire import head, message

Object = dict[str, Any]
TYPE_META = "io.k8s.apimachinery.pkg.runtime.TypeMeta"


@lru_cache(maxsize=1024)
def message_of(apiVersion: str, kind: str) -> str:
    """The message of a kind, whether or not it has a row in the table of kinds. Raises NotInProtobuf."""
    group, _, version = apiVersion.rpartition("/")
    row = find(apiVersion, kind) or find(apiVersion, kind.removesuffix("List"))
    candidates = [f"io.k8s.api.{group.split('.')[0] or 'core'}.{version}.{kind}", META + kind]
    if row:
        candidates.insert(1, f"{row.definition.rpartition('.')[0]}.{kind}")
    if group == "meta.k8s.io":
        candidates.insert(0, f"io.k8s.apimachinery.pkg.apis.meta.{version}.{kind}")
    for name in candidates:
        if known(name):
            return name
    raise NotInProtobuf(f'no kind "{kind}" is registered for version "{apiVersion}" in protobuf')


def encode(obj: Object) -> bytes:
    """An object in an envelope. Raises NotInProtobuf."""
    apiVersion, kind = obj["apiVersion"], obj["kind"]
    return envelope(apiVersion, kind, body(obj, apiVersion, kind))


def body(obj: Object, apiVersion: str, kind: str) -> bytes:
    """The message of an object, without an envelope. Raises NotInProtobuf."""
    return encoder(message_of(apiVersion, kind))(obj)


@lru_cache(maxsize=1024)
def opening(apiVersion: str, kind: str) -> bytes:
    return MAGIC + message(1, message(1, apiVersion.encode()) + message(2, kind.encode()))


ENDING = message(3, b"") + message(4, b"")
"""Content encoding and type, which say nothing but are always there."""


def envelope(apiVersion: str, kind: str, content: bytes) -> bytes:
    return b"".join((opening(apiVersion, kind), head(2, len(content)), content, ENDING))


def decode(content: bytes, apiVersion: str = "", kind: str = "") -> Object:
    """The object in an envelope; apiVersion and kind are for one that does not say what it is. Raises BadProtobuf."""
    if not content.startswith(MAGIC):
        raise BadProtobuf("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    found = guarded_parts(content[len(MAGIC):])
    said = decoder(TYPE_META)(expect_bytes(found.get(1, b"")))
    apiVersion, kind = said.get("apiVersion") or apiVersion, said.get("kind") or kind
    try:
        made: Object = decoder(message_of(apiVersion, kind))(expect_bytes(found.get(2, b"")))
    except NotInProtobuf as error:
        raise BadProtobuf(str(error)) from None
    return {"kind": kind, "apiVersion": apiVersion} | made


def guarded_parts(content: bytes) -> dict[int, Any]:
    try:
        return parts(content)
    except IndexError:
        raise BadProtobuf("unexpected EOF") from None


def expect_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise BadProtobuf("proto: wrong wireType = 0 for field TypeMeta")
    return value


def list_body(metadata: Object, items: Iterable[bytes]) -> bytes:
    """The message of a list, of its metadata and the messages of its items: every list has them as 1 and 2."""
    pieces = [message(1, encoder(META + "ListMeta")(metadata))]
    for item in items:
        pieces += (head(2, len(item)), item)
    return b"".join(pieces)


def with_revision(content: bytes, revision: int) -> bytes:
    """The message of an object under a resourceVersion.

    Metadata is field 1 of every kind and resourceVersion field 6 of metadata. A message that comes twice is merged, so
    a second one, with nothing but the version, is enough: nothing before it need be touched.
    """
    version = b"%d" % revision
    return content + message(1, message(6, version))


def event(kind: bytes, enveloped: bytes) -> bytes:
    """An event of a watch as it goes over the wire: its length, its type, and an object in an envelope."""
    content = message(1, kind) + message(2, message(1, enveloped))
    return len(content).to_bytes(4, "big") + content
