"""Answers: objects, lists and failures in the form that the client accepts.

What the cache holds as JSON goes out as it is; anything else (YAML, Tables, metadata alone, another version) is decoded
first. Which form that is, is decided in `negotiate`.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from timonier.api.errors import ApiError, BadRequest, NotAcceptable
from timonier.api.kinds import Kind
from timonier.apiserver.cache import Item
from timonier.apiserver.conversion import from_storage, is_view
from timonier.apiserver.documents import Answer
from timonier.apiserver.listing import Listing
from timonier.apiserver.negotiate import JSON, PLAIN, YAML, Accepted, accepted
from timonier.apiserver.request import Object, Request
from timonier.kit.clock import Time

INCLUDED = ("None", "Metadata", "Object")
TEXT = "text/plain; charset=utf-8"


def plain(status: int, text: str, content_type: str = TEXT) -> Answer:
    return Answer(status, [("content-type", content_type)], text.encode())


def encoded(status: int, value: Object, form: Accepted = PLAIN) -> Answer:
    """A document in the accepted media type."""
    if form.media_type == YAML:
        from timonier.apiserver import yamls
        body = yamls.dump(value)
    else:
        body = orjson.dumps(value)
    return Answer(status, [("content-type", form.content_type)], body)


def failure(error: ApiError, request: Request | None = None) -> Answer:
    """A Status, or text for errors that have none. Where the client accepts nothing that there is, JSON."""
    try:
        form = accepted(request.headers.get("accept", "") if request else "")
    except NotAcceptable:
        form = PLAIN
    answer = plain(error.code, error.message) if error.plain else \
        encoded(error.code, error.status(), Accepted(form.media_type))
    if error.retry_after:
        answer.headers.append(("retry-after", str(error.retry_after)))
    return answer


def success(message: str = "", **details: str) -> Object:
    """A Status that says that it is done."""
    status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if message:
        status["message"] = message
    return status | {"details": {key: value for key, value in details.items() if value}}


def of_item(request: Request, kind: Kind, item: Item, now: Time) -> Answer:
    """One object of the cache."""
    form = accepted(request.headers.get("accept", ""))
    if form == PLAIN and not is_view(kind):
        return Answer(200, [("content-type", JSON)], item.value)
    return shown(200, from_storage(kind, item.decode()), kind, form, included(request), now)


def of_object(request: Request, kind: Kind, obj: Object, now: Time, status: int = 200) -> Answer:
    """One object of a write."""
    form = accepted(request.headers.get("accept", ""))
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
            raise NotAcceptable("you requested PartialObjectMetadataList, but the requested object is not a list")
    return obj


def of_listing(request: Request, kind: Kind, listing: Listing, now: Time) -> Answer:
    """A list, in the order of its keys."""
    form = accepted(request.headers.get("accept", ""))
    metadata: Object = {"resourceVersion": str(listing.revision)}
    if listing.after:
        metadata["continue"] = listing.after
    if listing.remaining:
        metadata["remainingItemCount"] = listing.remaining
    if form == PLAIN and not is_view(kind):
        return Answer(200, [("content-type", JSON)], joined(kind, metadata, listing.items))
    objects = [from_storage(kind, item.decode()) for item in listing.items]
    if form.form == "Table":
        table = tabled(kind, objects, form, included(request), now)
        return encoded(200, table | {"metadata": metadata}, form)
    if form.form:
        # Lists of metadata are asked for by the name of the list and, by older clients, by that of its elements.
        form = Accepted(form.media_type, "PartialObjectMetadataList", form.version)
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
