"""GET of a collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timonier.api.kinds import Kind
from timonier.apiserver.answers import of_listing
from timonier.apiserver.documents import Answer
from timonier.apiserver.listing import listing, options_of
from timonier.apiserver.request import Request

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer


async def serve(server: ApiServer, request: Request, kind: Kind) -> Answer:
    found = await listing(server.feed, server.registry.views, kind, options_of(request, kind))
    return of_listing(server, request, kind, found)
