"""The rules about metadata that hold for every kind: names, namespaces, uids, generations, resourceVersions.

Source: Kubernetes API conventions, "Metadata"; the messages are Kubernetes's.
"""

from __future__ import annotations

import random
from typing import Any

from timonier.api import times
from timonier.api.errors import BadRequest, Cause, conflict, invalid
from timonier.api.kinds import Kind
from timonier.kit.clock import Time
from timonier.kit.ids import new_id

Object = dict[str, Any]

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and nothing that looks like another letter: generated names are neither words nor misread."""
SUFFIX, LONGEST_BASE = 5, 58
SERVER_OWNED = ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")
EMPTY: tuple[Any, ...] = ({}, [], None, "")
STALE = "the object has been modified; please apply your changes to the latest version and try again"
DIFFERENT_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"



def generated_name(base: str) -> str:
    """`generateName` and five characters that nobody chose."""
    return base[:LONGEST_BASE] + "".join(random.choices(ALPHABET, k=SUFFIX))


def in_namespace(kind: Kind, metadata: Object, namespace: str) -> None:
    """Put an object into the namespace of the request. Raises BadRequest where it says that it belongs elsewhere."""
    if not kind.namespaced:
        metadata.pop("namespace", None)
    elif not metadata.get("namespace"):
        metadata["namespace"] = namespace
    elif metadata["namespace"] != namespace:
        raise BadRequest(DIFFERENT_NAMESPACE)


def begin(kind: Kind, metadata: Object, now: Time) -> None:
    """Make metadata that of a new object. Raises BadRequest where it claims to be an old one."""
    if metadata.get("resourceVersion"):
        raise BadRequest("resourceVersion should not be set on objects to be created")
    for field in SERVER_OWNED:
        metadata.pop(field, None)
    metadata.pop("resourceVersion", None)
    metadata["uid"] = new_id()
    metadata["creationTimestamp"] = times.rfc3339(now)
    if counts_generations(kind):
        metadata["generation"] = 1
    else:
        metadata.pop("generation", None)


def carry_over(kind: Kind, obj: Object, old: Object, *, unconditional: bool) -> None:
    """Keep what an update may not change, and refuse one that was made from another state than the current.

    Raises Conflict for a stale resourceVersion or another object's uid, Invalid where a version is required.
    """
    metadata, before = obj["metadata"], old["metadata"]
    name = before["name"]
    if (uid := metadata.get("uid")) and uid != before["uid"]:
        raise conflict(kind.group, kind.plural, name, f"Precondition failed: UID in precondition: {uid}, "
                                                      f"UID in object meta: {before['uid']}")
    version = metadata.get("resourceVersion")
    if version and version != before["resourceVersion"]:
        raise conflict(kind.group, kind.plural, name, STALE)
    if not version and not unconditional:
        raise invalid(kind.group, kind.kind, name, [
            Cause("FieldValueInvalid", "metadata.resourceVersion",
                  "Invalid value: 0x0: must be specified for an update")])
    for field in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation",
                  "resourceVersion"):
        if field in before:
            metadata[field] = before[field]
        else:
            metadata.pop(field, None)
    metadata.pop("selfLink", None)
    if "generateName" in before and "generateName" not in metadata:
        metadata["generateName"] = before["generateName"]


def counts_generations(kind: Kind) -> bool:
    return kind.custom is not None or kind.generation


def tidy(metadata: Object) -> None:
    """Take out what says nothing, in place. An empty managedFields says that nobody manages anything."""
    for field in [field for field, value in metadata.items() if value in EMPTY and field != "managedFields"]:
        del metadata[field]


def count_change(kind: Kind, obj: Object, old: Object) -> None:
    """One generation more where what is wanted changed: all that is neither metadata nor, behind a door of its own,
    status.

    A Deployment's annotations count too, since its controller reads them.
    """
    if not counts_generations(kind):
        return
    apart = ("metadata", "status") if kind.custom is None or kind.subresource("status") else ("metadata",)
    wanted = {key: value for key, value in obj.items() if key not in apart}
    before = {key: value for key, value in old.items() if key not in apart}
    annotations = kind.kind == "Deployment" and \
        (obj["metadata"].get("annotations") or {}) != (old["metadata"].get("annotations") or {})
    if wanted != before or annotations:
        obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def ordered(kind: Kind, obj: Object) -> Object:
    """The object with kind, apiVersion and metadata first, and the name first in metadata: the order of the bytes."""
    metadata = obj["metadata"]
    first = {key: metadata[key] for key in ("name", "generateName", "namespace", "uid") if metadata.get(key)}
    rest = {key: value for key, value in metadata.items() if key not in first and value not in EMPTY}
    body = {key: value for key, value in obj.items() if key not in ("kind", "apiVersion", "metadata")}
    return {"kind": kind.kind, "apiVersion": kind.apiVersion, "metadata": first | rest} | body
