"""DELETE of a collection: each of its objects on its own, as of one list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timonier.api.errors import NotFound
from timonier.api.kinds import Kind
from timonier.apiserver.answers import encoded
from timonier.apiserver.documents import Answer
from timonier.apiserver.listing import listing, options_of
from timonier.apiserver.request import Request
from timonier.apiserver.verbs.delete import caller, delete_options

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer


async def serve(server: ApiServer, request: Request, kind: Kind) -> Answer:
    author = caller(request, delete_options(request))
    found = await listing(server.feed, server.registry.views, kind, options_of(request, kind))
    deleted = []
    for item in found.items:
        try:
            obj, _ = await server.registry.delete(kind, item.namespace, item.name, author)
        except NotFound:
            continue
        deleted.append(obj)
    return encoded(200, {"kind": kind.list_kind, "apiVersion": kind.apiVersion,
                         "metadata": {"resourceVersion": str(server.feed.revision)}, "items": deleted},
                   request.form.whole)
