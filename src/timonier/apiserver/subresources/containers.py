"""Doors to one part of an object each: a pod's ephemeral containers and its resources, a certificate's approval.

What is sent is the whole object; only the part is taken from it. Resizing is refused: no kubelet of this project can
change the resources of a running container yet, and accepting what never happens would be a lie.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from timonier.api.errors import Forbidden
from timonier.apiserver import bodies
from timonier.apiserver.answers import of_object
from timonier.apiserver.documents import Answer
from timonier.apiserver.registry import Edit, edited
from timonier.apiserver.request import Object, Request
from timonier.apiserver.strategies.certificates import stamped
from timonier.apiserver.verbs import apply
from timonier.apiserver.verbs.create import caller
from timonier.apiserver.verbs.patch import edit_of
from timonier.apiserver.verbs.update import match_name
from timonier.kit.clock import Time

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer


async def serve(server: ApiServer, request: Request) -> Answer:
    kind, part = request.kind, request.subresource
    assert kind is not None
    now = server.clock.now()
    if request.verb == "get":
        return of_object(request, kind, await server.registry.get(kind, request.namespace, request.name), now)
    if part == "resize":
        raise Forbidden(f'pods "{request.name}" is forbidden: resizing running containers is not supported by this '
                        "cluster's nodes; change the pod template and let its controller replace the pod",
                        resource="pods", name=request.name)
    applied = request.verb == "patch" and bodies.media_type(request) == apply.MEDIA_TYPE
    wanted: Edit
    if request.verb == "update":
        sent = bodies.decode(request, kind)
        match_name(sent, request.name)
        wanted = partial(same, sent)
    else:
        wanted = apply.edit_of(server, request, kind) if applied else edit_of(request, kind)

    async def edit(old: Object) -> Object:
        new = await edited(wanted, old)
        assert new is not None
        made = taken(part, old, new, now)
        if applied:
            made["metadata"]["managedFields"] = new["metadata"].get("managedFields") or []
        return made

    changed = await server.registry.change(kind, request.namespace, request.name, edit, part, caller(request),
                                           verb=request.verb, record=not applied)
    return of_object(request, kind, changed, now)


def taken(part: str, old: Object, new: Object, now: Time) -> Object:
    """The old object with one part of the new one."""
    given = new.get("metadata") or {}
    guard = {field: given[field] for field in ("resourceVersion", "uid") if given.get(field)}
    metadata = {key: value for key, value in old["metadata"].items() if key not in ("resourceVersion", "uid")} | guard
    if part == "approval":
        before, conditions = ((each.get("status") or {}).get("conditions") or [] for each in (old, new))
        conditions = stamped(conditions, before, now)
        return old | {"metadata": metadata, "status": (old.get("status") or {}) | {"conditions": conditions}}
    containers = (new.get("spec") or {}).get("ephemeralContainers") or []
    return old | {"metadata": metadata, "spec": old["spec"] | {"ephemeralContainers": containers}}


def same(sent: Object, old: Object) -> Object:
    """What a PUT makes of an object: what was sent."""
    return sent
