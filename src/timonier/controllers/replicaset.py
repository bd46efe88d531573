"""ReplicaSet and ReplicationController: exactly spec.replicas live pods exist, owned by the set.

The two differ in how they spell their selector and in nothing else. Pods that are finished or being deleted do not
count; which pods go when there are too many is decided in `shared.pods`.
Source: kubernetes/pkg/controller/replicaset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from timonier.api import times
from timonier.api.errors import ApiError
from timonier.api.selectors import Labels
from timonier.api.types import apps_v1, core_v1, meta_v1
from timonier.client.informer import key_of
from timonier.controllers.shared import pods as podlib
from timonier.controllers.shared.ownership import claim, controller_reference
from timonier.kit.clock import Time
from timonier.reconcile.plan import WARNING, Delete, Note, Outcome, Plan
from timonier.reconcile.snapshot import Snapshot, Watch, clone, controller_of, controlling, itself

Set = apps_v1.ReplicaSet | core_v1.ReplicationController
BURST = 500
"""Pods created or deleted by one plan at most."""


class ReplicaSetController:
    """Runs for either kind: `ReplicaSetController(apps_v1.ReplicaSet)`."""

    def __init__(self, cls: type[apps_v1.ReplicaSet] | type[core_v1.ReplicationController]) -> None:
        self.cls: Any = cls
        self.name = "replicaset-controller" if cls is apps_v1.ReplicaSet else "replication-controller"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(self.cls, itself), Watch(core_v1.Pod, self.sets_of)]

    def sets_of(self, pod: core_v1.Pod, snapshot: Snapshot) -> Iterable[str]:
        """The set that controls a pod; for a pod that nothing controls, those that may want it."""
        if controlling(pod) is not None:
            return controller_of(self.cls.kind)(pod, snapshot)
        return [key_of(each) for each in snapshot.within(self.cls, pod.metadata.namespace)
                if selector_of(each).matches(pod.metadata.labels)]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        owner: Set | None = snapshot.get(self.cls, key)
        if owner is None:
            return Plan()
        pods = snapshot.within(core_v1.Pod, owner.metadata.namespace)
        claimed = claim(owner, selector_of(owner), filter(podlib.active, pods))
        going = [pod for pod in pods if podlib.terminating(pod) and owned_by(owner, pod)]
        surplus = len(claimed.mine) - replicas_of(owner)
        if owner.metadata.deletionTimestamp:
            surplus = 0
        create = [new_pod(owner)] * min(-surplus, BURST)
        delete = podlib.least_useful(claimed.mine, min(surplus, BURST), now, neighbours(owner, snapshot))
        return Plan(create=create, patch=claimed.patches, delete=[Delete.of(pod, propagation="") for pod in delete],
                    then=lambda outcome: after(owner, claimed.mine, len(going), surplus, outcome, now))


def selector_of(owner: Set) -> Labels:
    if isinstance(owner, apps_v1.ReplicaSet):
        return Labels.of(owner.spec.selector)
    return Labels.exactly(owner.spec.selector)


def replicas_of(owner: Set) -> int:
    return 1 if owner.spec.replicas is None else owner.spec.replicas


def owned_by(owner: Set, pod: core_v1.Pod) -> bool:
    holder = controlling(pod)
    return holder is not None and holder.uid == owner.metadata.uid


def new_pod(owner: Set) -> core_v1.Pod:
    """A pod from the set's template; the API server names it."""
    template = owner.spec.template or core_v1.PodTemplateSpec()
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(
            generateName=f"{owner.metadata.name}-", namespace=owner.metadata.namespace, labels=template.metadata.labels,
            annotations=template.metadata.annotations, finalizers=template.metadata.finalizers,
            ownerReferences=[controller_reference(owner)]),
        spec=template.spec)


def neighbours(owner: Set, snapshot: Snapshot) -> Counter[str]:
    """How many active pods each node has of this set and of the sets with the same controller."""
    holder = controlling(owner)
    related = snapshot.controlled(type(owner), holder.uid) if holder is not None else [owner]
    return Counter(pod.spec.nodeName for each in related
                   for pod in snapshot.controlled(core_v1.Pod, each.metadata.uid) if podlib.active(pod))


def after(owner: Set, mine: Sequence[core_v1.Pod], going: int, surplus: int, outcome: Outcome, now: Time) -> Plan:
    """Status and events, once it is known how creations and deletions went."""
    events = [Note(owner, "SuccessfulCreate", f"Created pod: {pod.metadata.name}") for pod in outcome.created]
    events += [Note(owner, "SuccessfulDelete", f"Deleted pod: {pod.name}") for pod in outcome.deleted]
    problem: ApiError | None = None
    for write, error in outcome.failed:
        if isinstance(write, core_v1.Pod | Delete):
            problem = problem or error
            word, reason = ("creating", "FailedCreate") if isinstance(write, core_v1.Pod) else \
                ("deleting", "FailedDelete")
            events.append(Note(owner, reason, f"Error {word}: {error.message}", WARNING))
    status, again = summarise(owner, mine, going, surplus, problem, now)
    changed = clone(owner)
    changed.status = status
    return Plan(events=events, again=again, status=changed if status != owner.status else None)


def summarise(owner: Set, mine: Sequence[core_v1.Pod], going: int, surplus: int, problem: ApiError | None,
              now: Time) -> tuple[Any, float | None]:
    """The new status, and after how many seconds it changes by itself because a pod becomes available."""
    template = owner.spec.template or core_v1.PodTemplateSpec()
    labels = template.metadata.labels.items()
    waits = [podlib.available_in(pod, owner.spec.minReadySeconds or 0, now) for pod in mine]
    status: Any = clone(owner).status
    status.replicas = len(mine)
    status.fullyLabeledReplicas = sum(labels <= pod.metadata.labels.items() for pod in mine)
    status.readyReplicas = sum(podlib.ready(pod) for pod in mine)
    status.availableReplicas = sum(wait == 0 for wait in waits)
    if isinstance(status, apps_v1.ReplicaSetStatus):
        status.terminatingReplicas = going
    status.observedGeneration = owner.metadata.generation or 0
    status.conditions = replica_failure(owner, surplus, problem, now)
    return status, min((wait for wait in waits if wait), default=None)


def replica_failure(owner: Set, surplus: int, problem: ApiError | None, now: Time) -> list[Any]:
    """The conditions: ReplicaFailure is there while pods cannot be created or deleted."""
    others: list[Any] = [each for each in owner.status.conditions if each.type != "ReplicaFailure"]
    if problem is None:
        return others
    reason = "FailedCreate" if surplus < 0 else "FailedDelete"
    before = next((each for each in owner.status.conditions if each.type == "ReplicaFailure"), None)
    if before is not None and before.reason == reason:
        return [*owner.status.conditions]
    cls = apps_v1.ReplicaSetCondition if isinstance(owner, apps_v1.ReplicaSet) \
        else core_v1.ReplicationControllerCondition
    return [*others, cls(type="ReplicaFailure", status="True", reason=reason, message=problem.message,
                         lastTransitionTime=times.rfc3339(now))]
