"""What a Scale is about in objects of custom kinds: the fields that their definition names.

Source: Kubernetes documentation, "Scale subresource".
"""

from __future__ import annotations

from typing import Any

from timonier.api.errors import InternalError
from timonier.api.kinds import Kind
from timonier.api.structural.paths import read, steps_of

Object = dict[str, Any]


def paths(kind: Kind) -> Object:
    assert kind.custom is not None
    assert kind.custom.scale is not None
    return kind.custom.scale


def managed_at(kind: Kind) -> dict[str, tuple[str, ...]]:
    """Where managedFields have the number of replicas that is wanted, by version."""
    assert kind.custom is not None
    return {version: tuple(f"f:{step}" for step in steps_of(path)) for version, path in kind.custom.scales.items()}


def refuse_unscaled(kind: Kind, obj: Object) -> None:
    """Raise InternalError where an object does not say how many replicas it wants."""
    path = paths(kind)["specReplicasPath"]
    if read(obj, path, int)[0] is None:
        raise InternalError(f'Internal error occurred: the spec replicas field "{path}" does not exist')


def scale_of(kind: Kind, obj: Object) -> Object:
    """Spec and status of an object's Scale."""
    named = paths(kind)
    status: Object = {"replicas": read(obj, named["statusReplicasPath"], int)[0] or 0}
    selector = read(obj, named["labelSelectorPath"], str)[0] if named.get("labelSelectorPath") else None
    if selector:
        status["selector"] = selector
    return {"spec": {"replicas": read(obj, named["specReplicasPath"], int)[0] or 0}, "status": status}


def with_replicas(kind: Kind, obj: Object, replicas: int) -> Object:
    """An object that wants so many replicas."""
    *way, last = steps_of(paths(kind)["specReplicasPath"])
    made = dict(obj)
    place = made
    for step in way:
        inner = place.get(step)
        place[step] = dict(inner) if isinstance(inner, dict) else {}
        place = place[step]
    place[last] = replicas
    return made
