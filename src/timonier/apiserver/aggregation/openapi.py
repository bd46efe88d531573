"""OpenAPI v3 with the documents of backends: their place in the index, and the documents as they give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from timonier.apiserver.aggregation.proxy import serve as passed_on
from timonier.apiserver.documents import Answer, Document
from timonier.apiserver.request import Request

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

V3 = "/openapi/v3"


def with_backends(server: ApiServer, index: Answer, request: Request) -> Answer:
    """The index of documents, with those of backends."""
    backends = [each for each in server.backends.all() if each.openapi]
    if not backends or index.status != 200:
        return index
    whole: dict[str, Any] = orjson.loads(index.body)
    for each in backends:
        _, mark, query = each.openapi.partition("?")
        whole["paths"][each.root.strip("/")] = {"serverRelativeURL": f"{V3}{each.root}{mark}{query}"}
    return Document.of_json(whole).answer(request.headers)


async def document(server: ApiServer, request: Request) -> Answer | None:
    """The document of a group and version that a backend answers; None where none does."""
    backend = server.backends.of(request.path.removeprefix(V3)) if request.path.startswith(f"{V3}/apis/") else None
    if backend is None or not backend.openapi:
        return None
    return await passed_on(server, request, backend, backend.openapi)
