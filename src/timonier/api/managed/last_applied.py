"""The annotation in which `kubectl apply` without --server-side keeps what it applied, and the way over from it.

What still is as it was applied from the client, the same user may take over by server-side apply without force; while
the annotation is there, it goes on to say what was applied last. Source: Kubernetes documentation, "Server-Side Apply",
"Upgrading from client-side apply to server-side apply".
"""

from __future__ import annotations

from typing import Any

import orjson

from timonier.api.managed import conform
from timonier.api.managed import fields as sets
from timonier.api.managed.compare import compare
from timonier.api.managed.fields import FieldSet
from timonier.api.managed.mention import mentioned
from timonier.api.managed.operations import Conflict, Door
from timonier.api.managed.whole import Incomparable

Object = dict[str, Any]

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
LARGEST_ANNOTATIONS = 256 * 1024
"""Bytes that the annotations of an object may have together; an annotation that would not fit is left out."""


def upgradable(door: Door, live: Object, conflicts: list[Conflict]) -> list[Conflict]:
    """The conflicts that are left once what was applied from the client counts as the applier's own."""
    theirs = applied_before(door, live)
    return conflicts if theirs is None else [one for one in conflicts if not sets.contains(theirs, one.path)]


def applied_before(door: Door, live: Object) -> FieldSet | None:
    """The fields that still are as they were applied from the client; None where the annotation does not tell."""
    text = annotations_of(live).get(ANNOTATION)
    if not text:
        return None
    try:
        config = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(config, dict) or config.get("apiVersion") != door.apiVersion or conform.faults(door.type, config):
        return None
    try:
        since = compare(door.type, config, live)
    except Incomparable:
        return None
    return sets.difference(sets.difference(mentioned(door.type, config), since.changed), since.removed)


def synchronised(obj: Object, config: Object) -> None:
    """Have the annotation, where there is one, say what has been applied now; in place."""
    found = annotations_of(obj)
    if not found.get(ANNOTATION):
        return
    rest = {name: text for name, text in found.items() if name != ANNOTATION}
    applied = config
    if ANNOTATION in annotations_of(config):
        kept = {name: text for name, text in annotations_of(config).items() if name != ANNOTATION}
        applied = config | {"metadata": config["metadata"] | {"annotations": kept}}
    text = orjson.dumps(applied, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE).decode()
    size = sum(len(name.encode()) + len(value.encode()) for name, value in rest.items())
    fits = size + len(ANNOTATION) + len(text.encode()) <= LARGEST_ANNOTATIONS
    obj["metadata"]["annotations"] = rest | ({ANNOTATION: text} if fits else {})


def annotations_of(obj: Object) -> dict[str, str]:
    found: dict[str, str] = (obj.get("metadata") or {}).get("annotations") or {}
    return found
