"""The events of a watch as bytes, in the form that the client wants: a line of JSON, or a message behind its length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import orjson

from timonier.api.errors import ApiError
from timonier.api.kinds import Kind
from timonier.api.protobuf import MEDIA_TYPE as PROTOBUF
from timonier.api.protobuf import envelope
from timonier.apiserver.answers import transformed
from timonier.apiserver.cache import Item
from timonier.apiserver.conversion import from_storage, is_view
from timonier.apiserver.messages import Messages
from timonier.apiserver.negotiate import PLAIN, Accepted
from timonier.apiserver.request import Object
from timonier.kit.clock import Time


class Frames(Protocol):
    """What makes frames for one kind in one form."""

    def event(self, event: bytes, item: Item, revision: int) -> bytes:
        """An event about an item, shown under a resourceVersion that need not be its own."""

    def bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> bytes:
        """That the client has seen everything up to a revision."""

    def error(self, error: ApiError) -> bytes:
        """Why there will be no more events."""


def frames(kind: Kind, form: Accepted, include: str, messages: Messages, now: Callable[[], Time]) -> Frames:
    """What makes the frames of a watch; `include` says how much of each object a Table carries."""
    if form == PLAIN and not is_view(kind):
        return Spliced(kind, form, include, now)
    if form.media_type == PROTOBUF and not form.form:
        return Enveloped(kind, form, include, now, messages)
    return Shown(kind, form, include, now)


class Shown:
    """Objects that are decoded and turned into what is to be shown of them."""

    def __init__(self, kind: Kind, form: Accepted, include: str, now: Callable[[], Time]) -> None:
        self.kind, self.form, self.include, self.now = kind, form, include, now
        self.binary = form.media_type == PROTOBUF

    def event(self, event: bytes, item: Item, revision: int) -> bytes:
        stored = orjson.loads(item.value if revision == item.revision else item.at(revision))
        return self.framed(event, self.shown(from_storage(self.kind, stored)))

    def bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> bytes:
        metadata: Object = {"resourceVersion": str(revision)}
        if annotations:
            metadata["annotations"] = annotations
        if self.form.form == "Table":
            from timonier.apiserver.tables import blank

            # What says that the first events are over is always there, as clients look for it.
            shown = blank(self.kind, metadata, "Metadata" if annotations and self.include == "None" else self.include)
            shown |= {"apiVersion": f"meta.k8s.io/{self.form.version}",
                      "metadata": {"resourceVersion": metadata["resourceVersion"]}}
        else:
            shown = self.shown({"kind": self.kind.kind, "apiVersion": self.kind.apiVersion, "metadata": metadata})
        return self.framed(b"BOOKMARK", shown)

    def error(self, error: ApiError) -> bytes:
        return self.framed(b"ERROR", error.status())

    def shown(self, obj: Object) -> Object:
        return transformed(obj, self.kind, self.form, self.include, self.now())

    def framed(self, event: bytes, obj: Object) -> bytes:
        if self.binary:
            return envelope.event(event, envelope.encode(obj))
        return b'{"type":"%b","object":%b}\n' % (event, orjson.dumps(obj))


class Spliced(Shown):
    """Objects as JSON: the bytes that the cache has."""

    def event(self, event: bytes, item: Item, revision: int) -> bytes:
        return b'{"type":"%b","object":%b}\n' % (event, item.value if revision == item.revision else item.at(revision))


class Enveloped(Shown):
    """Objects as protobuf: the messages that are kept of them."""

    def __init__(self, kind: Kind, form: Accepted, include: str, now: Callable[[], Time], messages: Messages) -> None:
        super().__init__(kind, form, include, now)
        self.messages = messages

    def event(self, event: bytes, item: Item, revision: int) -> bytes:
        content = self.messages.of(self.kind, item)
        if revision != item.revision:
            content = envelope.with_revision(content, revision)
        return envelope.event(event, envelope.envelope(self.kind.apiVersion, self.kind.kind, content))
