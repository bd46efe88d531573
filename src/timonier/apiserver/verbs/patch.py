"""PATCH of one object, or of its status: JSON patch, merge patch, strategic merge patch; `apply` is on its own.

A patch is applied to the object as it is when written; where somebody else was faster, to what they made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from timonier.api.check import Unreadable
from timonier.api.errors import BadRequest, Cause, invalid
from timonier.api.kinds import Kind
from timonier.api.patches.clone import clone
from timonier.api.patches.json_patch import json_patch
from timonier.api.patches.merge import merge_patch
from timonier.api.patches.strategic import strategic_merge
from timonier.api.structural.paths import shown_go
from timonier.api.structural.words import shown_value
from timonier.apiserver import bodies
from timonier.apiserver.answers import of_written
from timonier.apiserver.documents import Answer
from timonier.apiserver.request import Object, Request
from timonier.apiserver.verbs import apply
from timonier.apiserver.verbs.create import caller

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

JSON_PATCH, MERGE_PATCH, STRATEGIC = (
    "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json")
TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC, apply.MEDIA_TYPE)

OPERATION = frozenset({"op", "path", "from", "value"})


Edit = Callable[[Object], Object]


class Patch(NamedTuple):
    """A patch, and what is wrong with how it is written. `text` shows it where it is refused; otherwise what it makes
    is shown.
    """

    apply: Edit
    complaints: bodies.Complaints
    text: str = ""


async def serve(server: ApiServer, request: Request, kind: Kind) -> Answer:
    if bodies.media_type(request) == apply.MEDIA_TYPE:
        return await apply.serve(server, request, kind)
    patched = await server.registry.change(kind, request.namespace, request.name,
                                           edit_of(request, kind), request.subresource,
                                           caller(request), verb="patch")
    return of_written(server, request, kind, patched)


def edit_of(request: Request, kind: Kind) -> Edit:
    """What the patch of a request makes of an object; the result is checked like one that was sent whole."""
    patch = patch_of(request, kind)

    def edit(old: Object) -> Object:
        patched = patch.apply(clone(old))
        if not isinstance(patched, dict):
            raise BadRequest(f"the patch does not leave an object of type {kind.kind}")
        try:
            wanted = bodies.checked(bodies.identify(patched, kind, request.body), kind, request, patch.complaints)
        except Unreadable as error:
            text = patch.text or orjson.dumps(patch.apply(clone(old))).decode()
            raise invalid("", "", "", [Cause("FieldValueInvalid", "patch",
                                             f"Invalid value: {shown_value(text)}: {error.why}")]) from None
        metadata = wanted.setdefault("metadata", {})
        for field in ("name", "namespace"):
            keep(metadata, old["metadata"], field, kind)
        return wanted
    return edit


def keep(metadata: Object, old: Object, field: str, kind: Kind) -> None:
    """A patch changes neither an object's name nor its place."""
    if field in old and metadata.get(field) != old[field]:
        if field == "namespace":
            raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
        raise BadRequest(f"the name of the object ({metadata.get(field, '')}) does not match the name on the URL "
                         f"({old[field]})")


def patch_of(request: Request, kind: Kind) -> Patch:
    """The patch, parsed. Raises UnsupportedMediaType and BadRequest."""
    media_type = bodies.media_type(request)
    types = TYPES if kind.custom is None else tuple(name for name in TYPES if name != STRATEGIC)
    if media_type not in types:
        raise bodies.unsupported(types)
    if "force" in request.query:
        raise invalid("meta.k8s.io", "PatchOptions", "", [
            Cause("FieldValueForbidden", "force", "Forbidden: may not be specified for non-apply patch")])
    content: Any = parse(request.body)
    repeated = bodies.repeated(request.body, content)
    if media_type == JSON_PATCH:
        return Patch(lambda old: json_patch(old, content), lambda: operations(content, repeated))
    if media_type == MERGE_PATCH:
        return Patch(lambda old: merge_patch(old, content), repeated)
    return Patch(lambda old: strategic_merge(old, content, kind.definition), repeated, shown_go(content))


def operations(patch: Any, repeated: bodies.Complaints) -> list[str]:
    """What is wrong with how the operations of a JSON patch are written."""
    unknown = [f'unknown field "[{index}].{name}"' for index, each in enumerate(patch) for name in each
               if name not in OPERATION]
    return [f"json patch {complaint}" for complaint in (*repeated(), *unknown)]


def parse(body: bytes) -> Any:
    import json

    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body, parse_constant=bodies.refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"error decoding patch: {bodies.go_error(body, error)}") from None
