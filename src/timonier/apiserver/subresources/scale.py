"""/scale: how many replicas are wanted, in one form for every kind that has them.

Source: Kubernetes API reference, "Scale autoscaling/v1".
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from timonier.api.errors import Cause, invalid
from timonier.api.kinds import Kind
from timonier.api.managed.managers import decode, encode
from timonier.api.managed.scale import REPLICAS, Places, of_scale, of_scaled
from timonier.api.patches.clone import clone
from timonier.api.selectors import BadSelector, Labels
from timonier.apiserver import bodies
from timonier.apiserver.admitting import Fronted
from timonier.apiserver.answers import of_object
from timonier.apiserver.custom import scale as custom
from timonier.apiserver.documents import Answer
from timonier.apiserver.registry import Edit, edited
from timonier.apiserver.request import Object, Request
from timonier.apiserver.verbs import apply
from timonier.apiserver.verbs.create import caller
from timonier.apiserver.verbs.patch import edit_of
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
        if kind.custom is not None:
            custom.refuse_unscaled(kind, obj)
        return of_object(request, SCALE, scale_of(kind, obj), now)
    author, wanted = caller(request), scaling(server, request)

    async def edit(obj: Object) -> Object:
        before = managed_scale(kind, obj)
        after = await edited(wanted, clone(before))
        assert after is not None
        if bodies.media_type(request) != apply.MEDIA_TYPE:
            await server.registry.ownership.changed(SCALE, after, before, author.manager, "scale", {})
        return with_managers(kind, rescaled(kind, obj, after), after)

    shown = Fronted(server.registry.admission, partial(scale_of, kind), partial(rescaled, kind))
    changed = await server.registry.change(kind, request.namespace, request.name, edit, "scale", author,
                                           verb=request.verb, record=False, admission=shown)
    return of_object(request, SCALE, scale_of(kind, changed), now)


def scaling(server: ApiServer, request: Request) -> Edit:
    """What a request makes of a Scale."""
    if request.verb == "update":
        sent = bodies.decode(request, SCALE)
        match_name(sent, request.name)
        return partial(same, sent)
    if bodies.media_type(request) == apply.MEDIA_TYPE:
        return apply.edit_of(server, request, SCALE)
    return edit_of(request, SCALE)


def managed_scale(kind: Kind, obj: Object) -> Object:
    """The Scale of an object, which says who manages its replicas."""
    scale, managers = scale_of(kind, obj), decode(obj["metadata"].get("managedFields"), known=True)
    if found := of_scale(managers, places(kind)):
        scale["metadata"]["managedFields"] = encode(found)
    return scale


def with_managers(kind: Kind, obj: Object, scale: Object) -> Object:
    """The object with the managers that its Scale leaves it."""
    metadata = dict(obj["metadata"])
    managers = decode(metadata.pop("managedFields", None), known=True)
    theirs = decode(scale["metadata"].get("managedFields"), known=True)
    if found := of_scaled(managers, theirs, places(kind), kind.apiVersion):
        metadata["managedFields"] = encode(found)
    return obj | {"metadata": metadata}


def places(kind: Kind) -> Places:
    if kind.custom is None:
        return {kind.apiVersion: REPLICAS}
    return custom.managed_at(kind)


def scale_of(kind: Kind, obj: Object) -> Object:
    if kind.custom is not None:
        return headed(obj) | custom.scale_of(kind, obj)
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    replicas: Object = {"replicas": status.get("replicas", 0)}
    if text := selector_text(kind, spec.get("selector")):
        replicas["selector"] = text
    return headed(obj) | {"spec": {"replicas": spec.get("replicas", 1)}, "status": replicas}


def headed(obj: Object) -> Object:
    """The beginning of a Scale: whose it is."""
    metadata = obj["metadata"]
    shown = {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
             if key in metadata}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": shown}


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


def rescaled(kind: Kind, obj: Object, scale: Object) -> Object:
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
    made = obj | {"metadata": metadata}
    if kind.custom is not None:
        return custom.with_replicas(kind, made, replicas)
    return made | {"spec": (obj.get("spec") or {}) | {"replicas": replicas}}


def same(sent: Object, old: Object) -> Object:
    """What a PUT makes of an object: what was sent."""
    return clone(sent)
