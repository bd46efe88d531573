"""OpenAPI: what the API is, for clients that check, explain and generate.

`operations` and `schemas` say what there is, `documents` puts it into OpenAPI v2 and v3, `protobuf` into the form of v2
that kubectl prefers, `custom` is about the definitions of custom kinds, `merge` about v2 documents of other servers.
Nothing is made before it is asked for; what was made is kept compressed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from timonier.apiserver.documents import Answer, Document, choose
from timonier.apiserver.openapi.documents import ASKED_PROTOBUF, PROTOBUF, Documents
from timonier.apiserver.openapi.merge import Part
from timonier.apiserver.request import Request

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer


async def serve(server: ApiServer, request: Request) -> Answer | None:
    """The document that a path below /openapi names, in the form that the client accepts; None where there is none."""
    documents = server.parts.get("openapi")
    if not isinstance(documents, Documents):
        documents = server.parts["openapi"] = Documents()
    resources = server.registry.resources
    documents.look(resources, resources.changes)
    # The first request for a document makes it, which takes long enough for others to notice.
    return await asyncio.to_thread(answer, documents, request, server.backends.described())


def answer(documents: Documents, request: Request, parts: Sequence[Part] = ()) -> Answer | None:
    """As `serve`. To make a document takes up to 0.2 s of CPU."""
    found = find(documents, request.path, request.headers.get("accept", ""), parts)
    if found is None or isinstance(found, Answer):
        return found
    made = found.answer(request.headers)
    if request.parameter("hash"):
        made.headers.append(("cache-control", "public, immutable"))
    return made


def find(documents: Documents, path: str, accept: str, parts: Sequence[Part] = ()) -> Document | Answer | None:
    match path.strip("/").split("/", 2):
        case ["openapi", "v3"]:
            return documents.index()
        case ["openapi", "v3", rest]:
            return documents.v3(rest)
        case ["openapi", "v2"]:
            chosen = choose(accept, ("application/json", PROTOBUF, ASKED_PROTOBUF))
            if chosen is None:
                return Answer(406, [], b"")
            return documents.v2("application/json" if chosen == "application/json" else PROTOBUF, parts)
    return None
