"""GET of one object: from the watch cache, which is waited for unless the client takes any state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timonier.api.errors import not_found
from timonier.api.kinds import Kind
from timonier.apiserver.answers import of_item
from timonier.apiserver.documents import Answer
from timonier.apiserver.listing import number
from timonier.apiserver.request import Request

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer


async def serve(server: ApiServer, request: Request, kind: Kind) -> Answer:
    revision = number("resourceVersion", request.parameter("resourceVersion"))
    feed = server.feed
    if revision is None:
        await feed.current()
    else:
        await feed.ready.wait()
        await feed.at_least(revision)
    item = feed.cache(kind).items.get(kind.key(request.namespace, request.name))
    if item is None:
        raise not_found(kind.group, kind.plural, request.name)
    if kind.custom is not None:
        item = await server.registry.views.one(kind, item)
    return of_item(server, request, kind, item)
