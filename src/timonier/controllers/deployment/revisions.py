"""Revisions: which ReplicaSet is the one of the present template, what a new one is called, how they are numbered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from timonier.api.types import apps_v1, core_v1, meta_v1
from timonier.controllers.shared.ownership import controller_reference
from timonier.reconcile.snapshot import clone

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
NOT_COPIED = frozenset({"kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, DESIRED, MAXIMUM,
                        "deprecated.deployment.rollback.to"})
"""Annotations of a Deployment that are not its sets'."""
HISTORY_LENGTH = 2000
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels, and no digits that look like them: a name never spells anything."""


def fnv(data: bytes) -> int:
    """FNV-1a, 32 bits."""
    value = 2166136261
    for byte in data:
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


def template_hash(template: core_v1.PodTemplateSpec, collisions: int) -> str:
    """A short name for a template; after a collision, another one."""
    data = msgspec.json.encode(template, order="deterministic")
    return "".join(ALPHABET[ord(digit) % len(ALPHABET)]
                   for digit in str(fnv(data + (b"%d" % collisions if collisions else b""))))


def without_hash(template: core_v1.PodTemplateSpec | None) -> core_v1.PodTemplateSpec:
    if template is None:
        return core_v1.PodTemplateSpec()
    if HASH not in template.metadata.labels:
        return template
    plain = msgspec.json.decode(msgspec.json.encode(template), type=core_v1.PodTemplateSpec)
    plain.metadata.labels.pop(HASH, None)
    return plain


def same_template(one: core_v1.PodTemplateSpec | None, other: core_v1.PodTemplateSpec | None) -> bool:
    return without_hash(one) == without_hash(other)


def created(replica_set: apps_v1.ReplicaSet) -> tuple[str, str]:
    return replica_set.metadata.creationTimestamp, replica_set.metadata.name


def find_new(deployment: apps_v1.Deployment, sets: Iterable[apps_v1.ReplicaSet]) -> apps_v1.ReplicaSet | None:
    """The set of the present template; of several, the oldest, so that the choice never changes."""
    return next((each for each in sorted(sets, key=created)
                 if same_template(each.spec.template, deployment.spec.template)), None)


def revision(obj: apps_v1.ReplicaSet | apps_v1.Deployment) -> int:
    """The number that the annotation holds; 0 where there is none."""
    text = obj.metadata.annotations.get(REVISION, "")
    return int(text) if text.isdigit() else 0


def next_revision(old: Sequence[apps_v1.ReplicaSet]) -> int:
    return max((revision(each) for each in old), default=0) + 1


def new_set(deployment: apps_v1.Deployment, replicas: int, number: int, maximum: int) -> apps_v1.ReplicaSet:
    """The ReplicaSet of the present template, as it is to be created."""
    meta, spec = deployment.metadata, deployment.spec
    name = template_hash(spec.template, deployment.status.collisionCount)
    template = msgspec.json.decode(msgspec.json.encode(spec.template), type=core_v1.PodTemplateSpec)
    template.metadata.labels = {**template.metadata.labels, HASH: name}
    selector = meta_v1.LabelSelector(matchExpressions=spec.selector.matchExpressions,
                                     matchLabels={**spec.selector.matchLabels, HASH: name})
    copied = {key: value for key, value in meta.annotations.items() if key not in NOT_COPIED}
    return apps_v1.ReplicaSet(
        metadata=meta_v1.ObjectMeta(
            name=f"{meta.name}-{name}", namespace=meta.namespace, labels=dict(template.metadata.labels),
            annotations=copied | {REVISION: str(number), DESIRED: str(spec.replicas), MAXIMUM: str(maximum)},
            ownerReferences=[controller_reference(deployment)]),
        spec=apps_v1.ReplicaSetSpec(replicas=replicas, minReadySeconds=spec.minReadySeconds, selector=selector,
                                    template=template))


def renewed(deployment: apps_v1.Deployment, replica_set: apps_v1.ReplicaSet, number: int) -> apps_v1.ReplicaSet:
    """The new set as it should be while it exists: the Deployment's annotations, its number, its minReadySeconds.

    A set that becomes the new one again, by a rollback, remembers the numbers that it had.
    """
    wanted = clone(replica_set)
    annotations = wanted.metadata.annotations
    annotations |= {key: value for key, value in deployment.metadata.annotations.items() if key not in NOT_COPIED}
    before = revision(replica_set)
    if before < number:
        annotations[REVISION] = str(number)
        if before:
            annotations[HISTORY] = longer_history(annotations.get(HISTORY, ""), before)
    wanted.spec.minReadySeconds = deployment.spec.minReadySeconds
    return wanted


def longer_history(history: str, number: int) -> str:
    numbers = [*filter(None, history.split(",")), str(number)]
    while len(",".join(numbers)) > HISTORY_LENGTH:
        numbers.pop(0)
    return ",".join(numbers)


def changes(before: apps_v1.ReplicaSet, after: apps_v1.ReplicaSet) -> dict[str, Any]:
    """The merge patch from one to the other, of what a Deployment decides; empty if there is no difference."""
    patch: dict[str, Any] = {}
    annotations = {key: value for key, value in after.metadata.annotations.items()
                   if before.metadata.annotations.get(key) != value}
    if annotations:
        patch["metadata"] = {"annotations": annotations}
    spec: dict[str, Any] = {}
    if before.spec.replicas != after.spec.replicas:
        spec["replicas"] = after.spec.replicas
    if (before.spec.minReadySeconds or 0) != (after.spec.minReadySeconds or 0):
        spec["minReadySeconds"] = after.spec.minReadySeconds or 0
    if spec:
        patch["spec"] = spec
    return patch
