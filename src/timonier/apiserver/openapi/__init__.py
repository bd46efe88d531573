"""OpenAPI: what the API is, for clients that check, explain and generate.

`operations` and `schemas` say what there is, `documents` puts it into OpenAPI v2 and v3, `protobuf` into the form of v2
that kubectl prefers. Nothing is made before it is asked for; what was made is kept compressed.
"""

from __future__ import annotations

from timonier.apiserver.documents import Answer, Document, choose
from timonier.apiserver.request import Request


def answer(request: Request) -> Answer | None:
    """The document that a path below /openapi names, in the form that the client accepts; None where there is none.

    The first request for a document makes it, which takes up to 0.2 s of CPU: call it beside the event loop.
    """
    found = find(request.path, request.headers.get("accept", ""))
    if found is None or isinstance(found, Answer):
        return found
    made = found.answer(request.headers)
    if request.parameter("hash"):
        made.headers.append(("cache-control", "public, immutable"))
    return made


def find(path: str, accept: str) -> Document | Answer | None:
    from timonier.apiserver.openapi import documents

    match path.strip("/").split("/", 2):
        case ["openapi", "v3"]:
            return documents.index()
        case ["openapi", "v3", rest]:
            return documents.v3(rest)
        case ["openapi", "v2"]:
            chosen = choose(accept, ("application/json", documents.PROTOBUF, documents.ASKED_PROTOBUF))
            if chosen is None:
                return Answer(406, [], b"")
            return documents.v2("application/json" if chosen == "application/json" else documents.PROTOBUF)
    return None
