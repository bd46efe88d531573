"""/finalize of a namespace: take away what keeps it. Without finalizers, a terminating namespace is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timonier.apiserver import bodies
from timonier.apiserver.answers import of_object
from timonier.apiserver.documents import Answer
from timonier.apiserver.request import Object, Request
from timonier.apiserver.verbs.create import caller
from timonier.apiserver.verbs.update import match_name

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer


async def serve(server: ApiServer, request: Request) -> Answer:
    kind = request.kind
    assert kind is not None
    sent = bodies.decode(request, kind)
    match_name(sent, request.name)

    def edit(old: Object) -> Object:
        given = sent["metadata"]
        guard = {field: given[field] for field in ("resourceVersion", "uid") if given.get(field)}
        spec = (old.get("spec") or {}) | {"finalizers": (sent.get("spec") or {}).get("finalizers") or []}
        metadata = {key: value for key, value in old["metadata"].items() if key != "resourceVersion"}
        return old | {"metadata": metadata | guard, "spec": spec}

    changed = await server.registry.change(kind, "", request.name, edit, "finalize", caller(request))
    return of_object(request, kind, changed, server.clock.now())
