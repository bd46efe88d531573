"""POST to a collection."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from timonier.api.errors import MethodNotAllowed
from timonier.api.kinds import Kind
from timonier.apiserver import bodies
from timonier.apiserver.answers import of_written
from timonier.apiserver.documents import Answer
from timonier.apiserver.registry import Caller
from timonier.apiserver.request import Object, Request

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer


async def serve(server: ApiServer, request: Request, kind: Kind) -> Answer:
    if kind.namespaced and not request.namespace:
        raise MethodNotAllowed("the server does not allow this method on the requested resource")
    obj, draft = bodies.decode_new(request, kind, server.registry.given)
    created = await server.registry.create(kind, obj, request.namespace, caller(request), draft=draft)
    return of_written(server, request, kind, created, 201)


def caller(request: Request) -> Caller:
    """On whose behalf a request writes. Raises Invalid for a dryRun that is not known."""
    bodies.field_validation(request)
    options: Object = {name: text for name in ("fieldManager", "fieldValidation") if (text := request.parameter(name))}
    return Caller(request.user, bodies.dry_run(request), request.warn, options, request.annotate,
                  bodies.field_manager(request) or agent(request.headers.get("user-agent", "")))


@lru_cache(maxsize=256)
def agent(text: str) -> str:
    """What a program that does not name itself a field manager is remembered as: its user agent up to the slash."""
    name = text.partition("/")[0]
    clean = "".join(character for character in name if character.isprintable())
    return clean.encode()[:bodies.LONGEST_MANAGER].decode("utf-8", "ignore") or "unknown"
