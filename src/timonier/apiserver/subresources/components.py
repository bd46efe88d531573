"""ComponentStatus, deprecated since v1.19: whether the store answers, which is all that this server can know itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timonier.api.errors import not_found
from timonier.apiserver.answers import encoded, tabled
from timonier.apiserver.documents import Answer
from timonier.apiserver.health import store
from timonier.apiserver.request import Object, Request

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

STORE = "etcd-0"
"""The name under which tools look for the store."""


async def serve(server: ApiServer, request: Request) -> Answer:
    kind, form = request.kind, request.form
    assert kind is not None
    why = await store(server)
    condition = {"type": "Healthy", "status": "False" if why else "True", "message": why or "ok"}
    status: Object = {"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": STORE},
                      "conditions": [condition]}
    if request.name and request.name != STORE:
        raise not_found("", "componentstatuses", request.name)
    if form.form == "Table":
        return encoded(200, tabled(kind, [status], form, "Metadata", server.clock.now()), form)
    if request.name:
        return encoded(200, status, form)
    return encoded(200, {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": [status]}, form)
