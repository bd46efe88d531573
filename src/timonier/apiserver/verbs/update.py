"""PUT of one object, or of its status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timonier.api.errors import BadRequest
from timonier.api.kinds import Kind
from timonier.apiserver import bodies
from timonier.apiserver.answers import of_written
from timonier.apiserver.documents import Answer
from timonier.apiserver.request import Object, Request
from timonier.apiserver.verbs.create import caller

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer


async def serve(server: ApiServer, request: Request, kind: Kind) -> Answer:
    obj = bodies.decode(request, kind)
    match_name(obj, request.name)
    before = server.registry.peek(kind, request.namespace, request.name)
    updated = await server.registry.update(kind, obj, request.namespace, request.subresource, caller(request),
                                           lambda: server.authoriser.demand(request.attributes(verb="create")))
    created = before is None and not request.subresource
    return of_written(server, request, kind, updated, 201 if created else 200)


def match_name(obj: Object, name: str) -> None:
    """Raise BadRequest where the body is about another object than the path."""
    metadata = obj.setdefault("metadata", {})
    given = metadata.get("name") or ""
    if not given:
        raise BadRequest("name must be provided")
    if given != name:
        raise BadRequest(f"the name of the object ({given}) does not match the name on the URL ({name})")
