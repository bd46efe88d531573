"""Doors to one part of an object each: a pod's ephemeral containers and its resources, a certificate's approval.

What is sent is the whole object; only the part is taken from it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

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


LISTS, SIZES = ("containers", "initContainers"), ("resources", "resizePolicy")
"""Containers that are resized, and what changes of each."""


async def serve(server: ApiServer, request: Request) -> Answer:
    kind, part = request.kind, request.subresource
    assert kind is not None
    now = server.clock.now()
    if request.verb == "get":
        return of_object(request, kind, await server.registry.get(kind, request.namespace, request.name), now)
    applied = request.verb == "patch" and bodies.media_type(request) == apply.MEDIA_TYPE
    wanted: Edit
    if request.verb == "update":
        sent = bodies.decode(request, kind)
        match_name(sent, request.name)
        wanted = partial(same, sent)
    else:
        said = APPLIED.get(part, apply.as_it_is)
        wanted = apply.edit_of(server, request, kind, said) if applied else edit_of(request, kind)

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
    """The old object with one part of the new one. With an approval, metadata comes along."""
    given = new.get("metadata") or {}
    if part == "approval":
        before, conditions = ((each.get("status") or {}).get("conditions") or [] for each in (old, new))
        conditions = stamped(conditions, before, now)
        return old | {"metadata": given, "status": (old.get("status") or {}) | {"conditions": conditions}}
    guard = {field: given[field] for field in ("resourceVersion", "uid") if given.get(field)}
    metadata = {key: value for key, value in old["metadata"].items() if key not in ("resourceVersion", "uid")} | guard
    spec = new.get("spec") or {}
    taken_over = resized(old["spec"], spec) if part == "resize" else \
        old["spec"] | {"ephemeralContainers": spec.get("ephemeralContainers") or []}
    return old | {"metadata": metadata, "spec": taken_over}


def resized(old: Object, new: Object) -> Object:
    """The old spec with the resources of the new one. Other containers are taken as they are, for validation to see."""
    spec = {key: value for key, value in old.items() if key != "resources"}
    if "resources" in new:
        spec["resources"] = new["resources"]
    for field in LISTS:
        now, then = new.get(field) or [], old.get(field) or []
        if [each.get("name") for each in now] == [each.get("name") for each in then]:
            now = [{key: value for key, value in there.items() if key not in SIZES}
                   | {key: each[key] for key in SIZES if key in each} for each, there in zip(now, then, strict=True)]
        if now or field in old:
            spec[field] = now
    return spec


def sizes(config: Object) -> Object:
    """What a configuration says of resources: nobody comes to manage anything else through a resize."""
    spec = config.get("spec")
    if not isinstance(spec, dict):
        return config
    kept: Object = {"resources": spec["resources"]} if "resources" in spec else {}
    for field in LISTS:
        if isinstance(listed := spec.get(field), list):
            kept[field] = [{key: value for key, value in each.items() if key in ("name", *SIZES)}
                           if isinstance(each, dict) else each for each in listed]
    return config | {"spec": kept}


APPLIED = {"resize": sizes}
"""What is applied of a configuration, where that is not all of it."""


def same(sent: Object, old: Object) -> Object:
    """What a PUT makes of an object: what was sent."""
    return sent
