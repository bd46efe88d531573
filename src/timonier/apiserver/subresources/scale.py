"""/scale: how many replicas are wanted, in one form for every kind that has them.

Source: Kubernetes API reference, "Scale autoscaling/v1".
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from timonier.api.errors import Cause, invalid
from timonier.api.kinds import Kind
from timonier.api.selectors import BadSelector, Labels
from timonier.apiserver import bodies
from timonier.apiserver.answers import of_object
from timonier.apiserver.documents import Answer
from timonier.apiserver.request import Object, Request
from timonier.apiserver.verbs.create import caller
from timonier.apiserver.verbs.patch import Patch, edit_of
from timonier.apiserver.verbs.update import match_name

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

SCALE = Kind("autoscaling", "v1", "Scale", "scales", definition="io.k8s.api.autoscaling.v1.Scale",
             storage="autoscaling/v1")


async def serve(server: ApiServer, request: Request) -> Answer:
    kind, now = request.kind, server.clock.now()
    assert kind is not None
    if request.verb == "get":
        obj = await server.registry.get(kind, request.namespace, request.name)
        return of_object(request, SCALE, scale_of(kind, obj), now)
    if request.verb == "update":
        sent = bodies.decode(request, SCALE)
        match_name(sent, request.name)
        wanted: Patch = partial(same, sent)
    else:
        wanted = edit_of(request, SCALE)

    def edit(obj: Object) -> Object:
        return rescaled(obj, wanted(scale_of(kind, obj)))

    changed = await server.registry.change(kind, request.namespace, request.name, edit, "scale", caller(request),
                                           verb=request.verb)
    return of_object(request, SCALE, scale_of(kind, changed), now)


def scale_of(kind: Kind, obj: Object) -> Object:
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    shown = {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
             if key in metadata}
    replicas: Object = {"replicas": status.get("replicas", 0)}
    if text := selector_text(kind, spec.get("selector")):
        replicas["selector"] = text
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": shown,
            "spec": {"replicas": spec.get("replicas", 1)}, "status": replicas}


def selector_text(kind: Kind, selector: Any) -> str:
    """The selector in its text form, by which autoscalers find the pods."""
    if not selector:
        return ""
    if kind.id == "v1/ReplicationController":
        return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    pairs = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    try:
        rest = str(Labels.of({"matchExpressions": selector.get("matchExpressions") or []}))
    except BadSelector:
        rest = ""
    return ",".join([*pairs, *([rest] if rest else [])])


def rescaled(obj: Object, scale: Object) -> Object:
    """The object with the replicas of a Scale, whose resourceVersion and uid guard it."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        raise invalid("autoscaling", "Scale", obj["metadata"]["name"], [Cause(
            "FieldValueInvalid", "spec.replicas",
            f"Invalid value: {replicas}: must be greater than or equal to 0")])
    given = scale.get("metadata") or {}
    metadata = dict(obj["metadata"])
    for field in ("resourceVersion", "uid"):
        if given.get(field):
            metadata[field] = given[field]
        else:
            metadata.pop(field, None)
    return obj | {"metadata": metadata, "spec": (obj.get("spec") or {}) | {"replicas": replicas}}


def same(sent: Object, old: Object) -> Object:
    """What a PUT makes of an object: what was sent."""
    return sent
