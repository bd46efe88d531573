"""Ownership: an object has at most one controller, which claims what its selector matches and lets go of the rest.

Source: kubernetes/pkg/controller/controller_ref_manager.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from timonier.api.selectors import Labels
from timonier.api.types import meta_v1
from timonier.client.wire import Object
from timonier.reconcile.plan import Patch
from timonier.reconcile.snapshot import controlling

T = TypeVar("T", bound=Object)


def controller_reference(owner: Object) -> meta_v1.OwnerReference:
    return meta_v1.OwnerReference(apiVersion=owner.apiVersion, kind=owner.kind, name=owner.metadata.name,
                                  uid=owner.metadata.uid, controller=True, blockOwnerDeletion=True)


@dataclass(slots=True)
class Claim(Generic[T]):
    """What is an owner's now, and the patches that make it so."""

    mine: list[T] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)


def claim(owner: Object, selector: Labels, candidates: Iterable[T]) -> Claim[T]:
    """Keep what is owned and matches, adopt what matches and has no controller, release what matches no more."""
    result: Claim[T] = Claim()
    going = bool(owner.metadata.deletionTimestamp)
    for obj in candidates:
        holder, matches = controlling(obj), selector.matches(obj.metadata.labels)
        if holder is not None:
            if holder.uid != owner.metadata.uid:
                continue
            if matches:
                result.mine.append(obj)
            elif not going:
                result.patches.append(release(owner, obj))
        elif matches and not going and not obj.metadata.deletionTimestamp:
            result.mine.append(obj)
            result.patches.append(adopt(owner, obj))
    return result


def adopt(owner: Object, obj: Object) -> Patch:
    references = [reference_dict(each) for each in (*obj.metadata.ownerReferences, controller_reference(owner))]
    return ownership_patch(obj, references)


def release(owner: Object, obj: Object) -> Patch:
    return ownership_patch(obj, [reference_dict(each) for each in obj.metadata.ownerReferences
                                 if each.uid != owner.metadata.uid])


def ownership_patch(obj: Object, references: list[dict[str, Any]]) -> Patch:
    """Replaces all references, and therefore only as long as the object is the one that was seen."""
    meta = obj.metadata
    patch = {"metadata": {"uid": meta.uid, "resourceVersion": meta.resourceVersion, "ownerReferences": references}}
    return Patch(type(obj), meta.name, meta.namespace, patch)


def reference_dict(reference: meta_v1.OwnerReference) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(reference)
    return plain
