"""A cluster in memory for controller tests: plans are applied to dictionaries, a kubelet of one line makes pods ready.

Nothing lags here and nothing runs at the same time; what laggy mirrors do to controllers is tested with the runner.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from timonier.api import errors, times
from timonier.api.patches import merge_patch
from timonier.api.types import apps_v1, core_v1, discovery_v1, meta_v1
from timonier.client.informer import key_of
from timonier.reconcile.plan import Note, Outcome, Patch, Plan
from timonier.reconcile.snapshot import Memory, Snapshot, clone

START = 1_800_000_000.0


class Cluster:
    """Objects by type and key. `notes` keeps every event that a plan told."""

    def __init__(self, indexes: dict[type, dict[str, Callable[[Any], Iterable[str]]]] | None = None) -> None:
        self.now = START
        self.mirrors: dict[Any, Memory[Any]] = {}
        self.notes: list[Note] = []
        self.history: list[tuple[str, Any]] = []
        self.refuse: Callable[[Any], errors.ApiError | None] = lambda obj: None
        self._numbers = itertools.count(1)
        for cls in (core_v1.Pod, core_v1.Service, core_v1.Endpoints, core_v1.Node, core_v1.Namespace,
                    discovery_v1.EndpointSlice, apps_v1.Deployment, apps_v1.ReplicaSet, core_v1.ServiceAccount,
                    core_v1.ConfigMap, core_v1.ReplicationController):
            self.mirrors[cls] = Memory((), (indexes or {}).get(cls))
        self.snapshot = Snapshot(self.mirrors)

    def objects(self, cls: type) -> list[Any]:
        return self.mirrors[cls].list()

    def add(self, obj: Any) -> Any:
        """Store a new object, as the API server would."""
        problem = self.refuse(obj)
        if problem is not None:
            raise problem
        obj = clone(obj)
        number = next(self._numbers)
        meta = obj.metadata
        meta.name = meta.name or f"{meta.generateName}{number:05}"
        meta.uid, meta.resourceVersion, meta.generation = f"uid-{number}", str(number), 1
        meta.creationTimestamp = times.rfc3339(self.now)
        if key_of(obj) in self.mirrors[type(obj)].objects:
            raise errors.AlreadyExists(meta.name)
        self.mirrors[type(obj)].objects[key_of(obj)] = obj
        self.history.append(("create", obj))
        return obj

    def put(self, obj: Any) -> Any:
        """Replace an object; a change of its spec is a new generation."""
        before = self.mirrors[type(obj)].objects.get(key_of(obj))
        if before is None:
            raise errors.NotFound(key_of(obj))
        if obj.metadata.resourceVersion not in ("", before.metadata.resourceVersion):
            raise errors.Conflict(key_of(obj))
        obj = clone(obj)
        obj.metadata.resourceVersion = str(next(self._numbers))
        if getattr(obj, "spec", None) != getattr(before, "spec", None):
            obj.metadata.generation = (before.metadata.generation or 0) + 1
        self.mirrors[type(obj)].objects[key_of(obj)] = obj
        self.history.append(("update", obj))
        return obj

    def patch(self, patch: Patch) -> Any:
        key = f"{patch.namespace}/{patch.name}" if patch.namespace else patch.name
        before = self.mirrors[patch.cls].objects.get(key)
        if before is None:
            raise errors.NotFound(key)
        merged = merge_patch(msgspec.to_builtins(before), patch.patch)
        return self.put(msgspec.convert(merged, patch.cls))

    def delete(self, cls: type, key: str, uid: str = "") -> None:
        obj = self.mirrors[cls].objects.get(key)
        if obj is None:
            return
        if uid and obj.metadata.uid != uid:
            raise errors.Conflict(key)
        if cls is core_v1.Pod and obj.spec.nodeName and not obj.metadata.deletionTimestamp:
            obj = clone(obj)
            obj.metadata.deletionTimestamp = times.rfc3339(self.now)
            self.mirrors[cls].objects[key] = obj
        else:
            del self.mirrors[cls].objects[key]
        self.history.append(("delete", obj))

    def apply(self, plan: Plan) -> bool:
        """Carry a plan out; whether it changed anything."""
        changed, following = False, plan
        while following is not None:
            outcome = self._outcome(following)
            changed = changed or bool(outcome.created or outcome.updated or outcome.deleted)
            self.notes += following.events
            following = following.then(outcome) if following.then else None
        return changed

    def _outcome(self, plan: Plan) -> Outcome:
        outcome = Outcome()
        steps: list[tuple[Any, Callable[[Any], None]]] = [
            (plan.create, lambda each: outcome.created.append(self.add(each))),
            (plan.update, lambda each: outcome.updated.append(self.put(each))),
            (plan.patch, lambda each: outcome.updated.append(self.patch(each))),
            (plan.delete, lambda each: (self.delete(each.cls, f"{each.namespace}/{each.name}", each.uid),
                                        outcome.deleted.append(each))),
            ([plan.status] if plan.status else [], lambda each: outcome.updated.append(self.put(each))),
        ]
        for writes, write in steps:
            for each in writes:
                if outcome.failed:
                    return outcome
                try:
                    write(each)
                except errors.ApiError as error:
                    outcome.failed.append((each, error))
        return outcome

    def run(self, controller: Any, cls: type) -> bool:
        """Plan every object of a kind until nothing changes; whether anything did."""
        changed = False
        for _ in range(200):
            applied = [self.apply(controller.plan(key, self.snapshot, self.now))
                       for key in [*self.mirrors[cls].objects]]
            if not any(applied):
                return changed
            changed = True
        raise AssertionError(f"{controller.name} does not come to rest")

    def tick(self, works: Callable[[core_v1.Pod], bool]) -> bool:
        """A second of a kubelet: pods get a node and become ready, pods that were deleted end."""
        self.now += 1
        changed = False
        for key, before in [*self.mirrors[core_v1.Pod].objects.items()]:
            pod = clone(before)
            if pod.metadata.deletionTimestamp:
                self.delete(core_v1.Pod, key)
                changed = True
            elif not pod.spec.nodeName:
                pod.spec.nodeName, pod.status.phase, pod.status.podIP = "node", "Running", f"10.0.0.{len(key)}"
                status = "True" if works(pod) else "False"
                pod.status.conditions = [core_v1.PodCondition(type="Ready", status=status,
                                                              lastTransitionTime=times.rfc3339(self.now))]
                self.put(pod)
                changed = True
        return changed


def template(image: str) -> core_v1.PodTemplateSpec:
    return core_v1.PodTemplateSpec(metadata=meta_v1.ObjectMeta(labels={"app": "web"}),
                                   spec=core_v1.PodSpec(containers=[core_v1.Container(name="c", image=image)]))


def deployment(name: str, replicas: int = 3, image: str = "v1", strategy: str = "RollingUpdate",
               maxSurge: int | str = "25%", maxUnavailable: int | str = "25%", **spec: Any) -> apps_v1.Deployment:
    rolling = apps_v1.RollingUpdateDeployment(maxSurge=maxSurge, maxUnavailable=maxUnavailable)
    return apps_v1.Deployment(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default", labels={"app": "web"}),
        spec=apps_v1.DeploymentSpec(
            replicas=replicas, selector=meta_v1.LabelSelector(matchLabels={"app": "web"}), template=template(image),
            strategy=apps_v1.DeploymentStrategy(
                type=strategy, rollingUpdate=rolling if strategy == "RollingUpdate" else None),
            **({"revisionHistoryLimit": 10, "progressDeadlineSeconds": 600} | spec)))
