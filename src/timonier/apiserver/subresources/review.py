"""Reviews: questions about identity and rights that are asked by creating an object, and never stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timonier.api.errors import invalid
from timonier.apiserver import bodies
from timonier.apiserver.admission.contract import CREATE
from timonier.apiserver.answers import of_object
from timonier.apiserver.documents import Answer
from timonier.apiserver.request import Request

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer


async def serve(server: ApiServer, request: Request) -> Answer:
    kind = request.kind
    assert kind is not None
    obj = bodies.decode(request, kind)
    if kind.namespaced:
        obj["metadata"] = (obj.get("metadata") or {}) | {"namespace": request.namespace}
    attributes = request.attributes(operation=CREATE)
    await server.registry.admission.admit(attributes, obj, None)
    if causes := kind.shape.validate(obj, None):
        raise invalid(kind.group, kind.kind, "", causes)
    await server.registry.admission.validate(attributes, obj, None)
    answered = await server.access.reviews.answer(kind.kind, obj, request.user, request.namespace)
    return of_object(request, kind, {"metadata": {}} | answered, server.clock.now(), 201)
