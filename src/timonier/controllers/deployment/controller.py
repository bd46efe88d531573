"""Deployment: the plan for one, put together from revisions, sizes and status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from timonier.api.errors import AlreadyExists
from timonier.api.selectors import Labels
from timonier.api.types import apps_v1, core_v1
from timonier.client.informer import key_of
from timonier.controllers.deployment import revisions, sizes
from timonier.controllers.deployment import status as tell
from timonier.controllers.deployment.sizes import Bounds, Sized, Sizes, replicas
from timonier.controllers.shared.ownership import claim
from timonier.controllers.shared.pods import FINISHED
from timonier.kit.clock import Time
from timonier.reconcile.plan import WARNING, Delete, Note, Outcome, Patch, Plan
from timonier.reconcile.snapshot import Snapshot, Watch, clone, controller_of, controlling, itself


class DeploymentController:
    """Moves pods from old ReplicaSets to the one of the present template."""

    name = "deployment-controller"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(apps_v1.Deployment, itself), Watch(apps_v1.ReplicaSet, deployments_of),
                Watch(core_v1.Pod, recreated_by)]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        deployment = snapshot.get(apps_v1.Deployment, key)
        if deployment is None:
            return Plan()
        selector = Labels.of(deployment.spec.selector)
        if selector.empty:
            return Plan(events=[Note(deployment, "SelectingAll", "This deployment is selecting all pods. "
                                     "A non-empty selector is required.", WARNING)])
        sets = snapshot.within(apps_v1.ReplicaSet, deployment.metadata.namespace)
        claimed = claim(deployment, selector, sets)
        if claimed.patches:
            return Plan(patch=claimed.patches)  # what becomes of their pods is decided once they show their owner
        mine = sorted(claimed.mine, key=revisions.created)
        if deployment.metadata.deletionTimestamp:
            new = revisions.find_new(deployment, mine)
            return status_plan(deployment, tell.counted(deployment, new, mine, now), deployment)
        return Rollout(deployment, mine, snapshot, now).plan()


def deployments_of(replica_set: apps_v1.ReplicaSet, snapshot: Snapshot) -> Iterable[str]:
    """The Deployment that controls a set; for a set that nothing controls, those that may want it."""
    if controlling(replica_set) is not None:
        return controller_of("Deployment")(replica_set, snapshot)
    return [key_of(each) for each in snapshot.within(apps_v1.Deployment, replica_set.metadata.namespace)
            if Labels.of(each.spec.selector).matches(replica_set.metadata.labels)]


def recreated_by(pod: core_v1.Pod, snapshot: Snapshot) -> Iterable[str]:
    """The Deployment that waits for this pod to go before it starts new ones."""
    holder = controlling(pod)
    if holder is None or holder.kind != "ReplicaSet":
        return ()
    replica_set = snapshot.get(apps_v1.ReplicaSet, f"{pod.metadata.namespace}/{holder.name}")
    owner = controlling(replica_set) if replica_set is not None else None
    if owner is None:
        return ()
    key = f"{pod.metadata.namespace}/{owner.name}"
    deployment = snapshot.get(apps_v1.Deployment, key)
    return (key,) if deployment is not None and recreates(deployment) else ()


def recreates(deployment: apps_v1.Deployment) -> bool:
    return deployment.spec.strategy is not None and deployment.spec.strategy.type == sizes.RECREATE


def status_plan(deployment: apps_v1.Deployment, status: apps_v1.DeploymentStatus,
                latest: apps_v1.Deployment) -> Plan:
    """Write the status where it differs, onto the latest known version of the Deployment."""
    if status == deployment.status:
        return Plan()
    changed = clone(latest)
    changed.status = status
    return Plan(status=changed)


@dataclass
class Rollout:
    """One look at one Deployment. `sets` are its ReplicaSets, oldest first."""

    deployment: apps_v1.Deployment
    sets: Sequence[apps_v1.ReplicaSet]
    snapshot: Snapshot
    now: Time
    new: apps_v1.ReplicaSet | None = field(init=False)
    old: list[apps_v1.ReplicaSet] = field(init=False)
    bounds: Bounds = field(init=False)

    def __post_init__(self) -> None:
        self.new = revisions.find_new(self.deployment, self.sets)
        self.old = [each for each in self.sets if each is not self.new]
        self.bounds = Bounds.of(self.deployment)

    @property
    def scaling(self) -> bool:
        """Whether the Deployment was given another size since its sets were scaled."""
        return any(replicas(each) > 0 and (desired := each.metadata.annotations.get(revisions.DESIRED)) is not None
                   and sizes.number(desired) != self.bounds.desired for each in self.sets)

    def plan(self) -> Plan:
        settled = not self.deployment.spec.paused and not self.scaling
        create = self.create() if settled and self.new is None and not self.waiting_for_pods() else None
        wanted = self.sizes(create) if settled else self.sizes_after_scaling()
        patches = self.patches(wanted, settled)
        status = self.status(create, settled)
        delete = self.superfluous(status) if not self.scaling else []
        return Plan(create=[create] if create else [], patch=patches, delete=delete,
                    then=lambda outcome: self.after(create, wanted, status, outcome))

    def waiting_for_pods(self) -> bool:
        """Under Recreate, new pods wait until the old ones have ended."""
        if not recreates(self.deployment):
            return False
        return any(replicas(each) > 0 or any(pod.status.phase not in FINISHED for pod in self.pods_of(each))
                   for each in self.old)

    def pods_of(self, replica_set: apps_v1.ReplicaSet) -> Sequence[core_v1.Pod]:
        return self.snapshot.controlled(core_v1.Pod, replica_set.metadata.uid)

    def create(self) -> apps_v1.ReplicaSet:
        size = sizes.first_size(self.bounds, [*map(Sized.of, self.old)], recreates(self.deployment))
        return revisions.new_set(self.deployment, size, revisions.next_revision(self.old), self.bounds.maximum)

    def sizes(self, create: apps_v1.ReplicaSet | None) -> Sizes:
        """What each existing set should be now, where that differs."""
        old, new = [*map(Sized.of, self.old)], create or self.new
        if recreates(self.deployment):
            if shrink := {each.name: 0 for each in old if each.replicas}:
                return shrink
            if self.new is None or self.waiting_for_pods():
                return {}
            return {} if replicas(self.new) == self.bounds.desired else {self.new.metadata.name: self.bounds.desired}
        return sizes.rolling(self.bounds, Sized.of(new), old) if new else {}

    def sizes_after_scaling(self) -> Sizes:
        new = Sized.of(self.new) if self.new else None
        wanted = sizes.scaled(self.bounds, new, [*map(Sized.of, self.old)], not recreates(self.deployment),
                              self.deployment.status.replicas)
        return {each.metadata.name: replicas(each) for each in self.sets if replicas(each) and self.scaling} | wanted

    def patches(self, wanted: Sizes, settled: bool) -> list[Patch]:
        """The changes to existing sets, guarded by their versions, and the Deployment's own revision number."""
        patches = []
        number = revisions.next_revision(self.old)
        for each in self.sets:
            after = revisions.renewed(self.deployment, each, number) if each is self.new else clone(each)
            if (size := wanted.get(each.metadata.name)) is not None:
                after.spec.replicas = size
                after.metadata.annotations |= {revisions.DESIRED: str(self.bounds.desired),
                                               revisions.MAXIMUM: str(self.bounds.maximum)}
            if patch := revisions.changes(each, after):
                patch.setdefault("metadata", {})["resourceVersion"] = each.metadata.resourceVersion
                patches.append(Patch(apps_v1.ReplicaSet, each.metadata.name, each.metadata.namespace, patch))
        exists = self.new is not None or (settled and not self.waiting_for_pods())
        shown = max(number, revisions.revision(self.new)) if self.new else number
        if exists and self.deployment.metadata.annotations.get(revisions.REVISION) != str(shown):
            meta = self.deployment.metadata
            patch = {"metadata": {"uid": meta.uid, "annotations": {revisions.REVISION: str(shown)}}}
            patches.append(Patch(apps_v1.Deployment, meta.name, meta.namespace, patch))
        return patches

    def status(self, create: apps_v1.ReplicaSet | None, settled: bool) -> apps_v1.DeploymentStatus:
        deployment, now = self.deployment, self.now
        status = tell.counted(deployment, self.new, self.sets, now)
        tell.follow_pause(deployment, status, now)
        if create and tell.has_deadline(deployment):
            tell.set_condition(status, tell.PROGRESSING, "True", tell.CREATED,
                               f'Created new replica set "{create.metadata.name}"', now)
        elif self.new and tell.has_deadline(deployment) and tell.condition(status, tell.PROGRESSING) is None:
            tell.set_condition(status, tell.PROGRESSING, "True", tell.FOUND,
                               f'Found new replica set "{self.new.metadata.name}"', now)
        if settled and not create:
            tell.follow_progress(deployment, status, self.new, now)
            tell.follow_failures(status, self.new, self.sets)
        return status

    def superfluous(self, status: apps_v1.DeploymentStatus) -> list[Delete]:
        """Old sets beyond the history limit, oldest revision first, once nothing is under way."""
        limit = self.deployment.spec.revisionHistoryLimit
        if limit is None or not (self.deployment.spec.paused or tell.complete(self.deployment, status)):
            return []
        kept = [each for each in self.old if not each.metadata.deletionTimestamp]
        excess = sorted(kept, key=revisions.revision)[:max(0, len(kept) - limit)]
        return [Delete.of(each) for each in excess
                if not each.status.replicas and not replicas(each)
                and (each.metadata.generation or 0) <= each.status.observedGeneration]

    def after(self, create: apps_v1.ReplicaSet | None, wanted: Sizes, status: apps_v1.DeploymentStatus,
              outcome: Outcome) -> Plan:
        """Events and status, once it is known what was written."""
        events = [self.scaled(each.metadata.name, 0, replicas(each)) for each in outcome.created
                  if isinstance(each, apps_v1.ReplicaSet) and replicas(each)]
        before = {each.metadata.name: replicas(each) for each in self.sets}
        for each in outcome.updated:
            name = each.metadata.name
            if isinstance(each, apps_v1.ReplicaSet) and wanted.get(name, before[name]) != before[name]:
                events.append(self.scaled(name, before[name], wanted[name]))
        for write, error in outcome.failed:
            if write is not create or create is None:
                return Plan(events=events)
            if isinstance(error, AlreadyExists):
                status = clone(self.deployment).status
                status.collisionCount = self.collisions(create)
            else:
                message = f'Failed to create new replica set "{create.metadata.name}": {error.message}'
                events.append(Note(self.deployment, "FailedCreate", message, WARNING))
                if tell.has_deadline(self.deployment):
                    tell.set_condition(status, tell.PROGRESSING, "False", tell.NOT_CREATED, message, self.now)
        latest = next((each for each in outcome.updated if isinstance(each, apps_v1.Deployment)), self.deployment)
        plan = status_plan(self.deployment, status, latest)
        left = tell.deadline(self.deployment, status, self.now) if not self.deployment.spec.paused else None
        plan.events, plan.again = events, left + 1 if left is not None and left >= 0 else None
        return plan

    def collisions(self, create: apps_v1.ReplicaSet) -> int:
        """One more, if the name is taken by something else than the very set that we wanted."""
        taken = self.snapshot.get(apps_v1.ReplicaSet, key_of(create))
        same = taken is not None and (holder := controlling(taken)) is not None \
            and holder.uid == self.deployment.metadata.uid \
            and revisions.same_template(taken.spec.template, create.spec.template)
        return self.deployment.status.collisionCount + (0 if same or taken is None else 1)

    def scaled(self, name: str, before: int, after: int) -> Note:
        direction = "up" if after > before else "down"
        return Note(self.deployment, "ScalingReplicaSet",
                    f"Scaled {direction} replica set {name} from {before} to {after}")
