"""Answers: objects, lists and failures in the form that the client accepts.

What the cache holds as JSON goes out as it is, and so does what it keeps as protobuf; anything else (YAML, Tables,
metadata alone, another version) is decoded first. Which form that is, is decided in `negotiate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from timonier.api.errors import ApiError, BadRequest, NotAcceptable
from timonier.api.kinds import Kind
from timonier.api.protobuf import MEDIA_TYPE as PROTOBUF
from timonier.api.protobuf import NotInProtobuf, envelope
from timonier.apiserver.cache import Item
from timonier.apiserver.conversion import from_storage, is_view
from timonier.apiserver.documents import Answer
from timonier.apiserver.listing import Listing
from timonier.apiserver.negotiate import JSON, PLAIN, YAML, Accepted, of_failure
from timonier.apiserver.request import Object, Request
from timonier.kit.clock import Time

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

INCLUDED = ("None", "Metadata", "Object")
TEXT = "text/plain; charset=utf-8"
WHOLE_PROTOBUF = Accepted(PROTOBUF)


def plain(status: int, text: str, content_type: str = TEXT) -> Answer:
    return Answer(status, [("content-type", content_type)], text.encode())


def encoded(status: int, value: Object, form: Accepted = PLAIN) -> Answer:
    """A document in the accepted media type. Raises NotAcceptable where it has no such form."""
    if form.media_type == YAML:
        from timonier.apiserver import yamls
        body = yamls.dump(value)
    elif form.media_type == PROTOBUF:
        body = enveloped(value)
    else:
        body = orjson.dumps(value, option=orjson.OPT_INDENT_2 if form.pretty else None)
    return Answer(status, [("content-type", form.media_type)], body)


def enveloped(value: Object) -> bytes:
    """An object in protobuf. Raises NotAcceptable for what has no message."""
    try:
        return envelope.encode(value)
    except NotInProtobuf:
        raise NotAcceptable(f"object *{value['apiVersion'].rpartition('/')[2]}.{value['kind']} does not implement the "
                            "protobuf marshalling interface and cannot be encoded to a protobuf message") from None


def failure(error: ApiError, request: Request | None = None) -> Answer:
    """A Status, or text for errors that have none."""
    answer = plain(error.code, error.message) if error.plain else \
        encoded(error.code, error.status(), of_failure(request) if request else PLAIN)
    if error.retry_after:
        answer.headers.append(("retry-after", str(error.retry_after)))
    return answer


def success(message: str = "", **details: str) -> Object:
    """A Status that says that it is done."""
    status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if message:
        status["message"] = message
    return status | {"details": {key: value for key, value in details.items() if value}}


def of_item(server: ApiServer, request: Request, kind: Kind, item: Item) -> Answer:
    """One object of the cache."""
    return kept(server, request, kind, item, 200) or \
        shown(200, from_storage(kind, item.decode()), kind, request.form, included(request), server.clock.now())


def kept(server: ApiServer, request: Request, kind: Kind, item: Item, status: int) -> Answer | None:
    """One object of the cache, where that has it in the form that is wanted."""
    if request.form == PLAIN and not is_view(kind):
        return Answer(status, [("content-type", JSON)], item.value)
    if request.form == WHOLE_PROTOBUF:
        content = envelope.envelope(kind.apiVersion, kind.kind, server.messages.of(kind, item))
        return Answer(status, [("content-type", PROTOBUF)], content)
    return None


def of_written(server: ApiServer, request: Request, kind: Kind, obj: Object, status: int = 200) -> Answer:
    """One object as a write left it: mostly it is in the cache already, in bytes that watchers get too."""
    metadata = obj["metadata"]
    item = server.feed.cache(kind).items.get(kind.key(metadata.get("namespace", ""), metadata["name"]))
    if item is not None and kind.custom is None and "dryRun" not in request.query \
            and metadata.get("resourceVersion") == str(item.revision):
        answer = kept(server, request, kind, item, status)
        if answer is not None:
            return answer
    return of_object(request, kind, obj, server.clock.now(), status)


def of_object(request: Request, kind: Kind, obj: Object, now: Time, status: int = 200) -> Answer:
    """One object that is not stored, or not so."""
    form = request.form
    if form == PLAIN:
        return Answer(status, [("content-type", JSON)], orjson.dumps(obj))
    return shown(status, obj, kind, form, included(request), now)


def shown(status: int, obj: Object, kind: Kind, form: Accepted, include: str, now: Time) -> Answer:
    return encoded(status, transformed(obj, kind, form, include, now), form)


def transformed(obj: Object, kind: Kind, form: Accepted, include: str, now: Time) -> Object:
    """An object as a Table, as its metadata, or as it is."""
    match form.form:
        case "Table":
            return tabled(kind, [obj], form, include, now)
        case "PartialObjectMetadata":
            return partial(obj, form)
        case "PartialObjectMetadataList":
            raise NotAcceptable("you requested PartialObjectMetadataList, but the requested object is not a list "
                                f"({go_type(kind, kind.kind)})")
    return obj


def of_listing(server: ApiServer, request: Request, kind: Kind, listing: Listing) -> Answer:
    """A list, in the order of its keys."""
    form, items = request.form, listing.items
    metadata: Object = {"resourceVersion": str(listing.revision)}
    if listing.after:
        metadata["continue"] = listing.after
    if listing.remaining:
        metadata["remainingItemCount"] = listing.remaining
    if form == PLAIN and not is_view(kind):
        return Answer(200, [("content-type", JSON)], joined(kind, metadata, items))
    if form.form == "PartialObjectMetadata":
        raise NotAcceptable("you requested PartialObjectMetadata, but the requested object is a list "
                            f"({go_type(kind, kind.list_kind)})")
    if form == WHOLE_PROTOBUF:
        body = envelope.list_body(metadata, [server.messages.of(kind, item) for item in items])
        return Answer(200, [("content-type", PROTOBUF)], envelope.envelope(kind.apiVersion, kind.list_kind, body))
    objects = [from_storage(kind, item.decode()) for item in items]
    if form.form == "Table":
        table = tabled(kind, objects, form, included(request), server.clock.now())
        return encoded(200, table | {"metadata": metadata}, form)
    if form.form:
        return encoded(200, {"kind": form.form, "apiVersion": f"meta.k8s.io/{form.version}", "metadata": metadata,
                             "items": [partial(obj, form) for obj in objects]}, form)
    return encoded(200, {"kind": kind.list_kind, "apiVersion": kind.apiVersion, "metadata": metadata,
                         "items": objects}, form)


def joined(kind: Kind, metadata: Object, items: Sequence[Item]) -> bytes:
    """A list spliced from bytes: nothing is decoded."""
    head = b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (
        kind.list_kind.encode(), kind.apiVersion.encode(), orjson.dumps(metadata))
    return head + b",".join([item.value for item in items]) + b"]}"


def included(request: Request) -> str:
    """How much of each object a Table carries. Raises BadRequest."""
    wanted = request.parameter("includeObject", "Metadata")
    if wanted not in INCLUDED:
        raise BadRequest(f'unrecognized includeObject value: "{wanted}"')
    return wanted


def tabled(kind: Kind, objects: Sequence[Object], form: Accepted, include: str, now: Time) -> Object:
    """The columns that `kubectl get` shows, and of each object what was asked for."""
    from timonier.apiserver.tables import table

    result: Object = table(kind, objects, now, include)
    result["apiVersion"] = f"meta.k8s.io/{form.version}"
    if len(objects) == 1:
        result["metadata"] = {"resourceVersion": objects[0]["metadata"].get("resourceVersion", "")}
    return result


def partial(obj: Object, form: Accepted) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{form.version}", "metadata": obj["metadata"]}


def go_type(kind: Kind, name: str) -> str:
    """What Kubernetes calls its type for a kind or its list, as messages show it."""
    if kind.custom is not None:
        return "*unstructured.UnstructuredList" if name == kind.list_kind else "*unstructured.Unstructured"
    return f"*{kind.group.split('.')[0] or 'core'}.{name}"
