"""What a Deployment tells: counts, whether it is available, whether its rollout gets on, and since when not."""

from __future__ import annotations

from collections.abc import Sequence

from timonier.api import times
from timonier.api.types import apps_v1
from timonier.controllers.deployment.sizes import Bounds, replicas
from timonier.kit.clock import Seconds, Time
from timonier.reconcile.snapshot import clone

AVAILABLE, PROGRESSING, FAILURE = "Available", "Progressing", "ReplicaFailure"
COMPLETE, TIMED_OUT, UPDATED = "NewReplicaSetAvailable", "ProgressDeadlineExceeded", "ReplicaSetUpdated"
CREATED, FOUND, NOT_CREATED = "NewReplicaSetCreated", "FoundNewReplicaSet", "ReplicaSetCreateError"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"
NO_DEADLINE = 2**31 - 1

Status = apps_v1.DeploymentStatus
Condition = apps_v1.DeploymentCondition


def counted(deployment: apps_v1.Deployment, new: apps_v1.ReplicaSet | None,
            sets: Sequence[apps_v1.ReplicaSet], now: Time) -> Status:
    """The status with fresh counts and Available; the other conditions as they were."""
    status = clone(deployment).status
    status.observedGeneration = deployment.metadata.generation or 0
    status.replicas = sum(each.status.replicas for each in sets)
    status.updatedReplicas = new.status.replicas if new else 0
    status.readyReplicas = sum(each.status.readyReplicas for each in sets)
    status.availableReplicas = sum(each.status.availableReplicas for each in sets)
    status.terminatingReplicas = sum(each.status.terminatingReplicas for each in sets)
    status.unavailableReplicas = max(0, sum(map(replicas, sets)) - status.availableReplicas)
    if status.availableReplicas >= Bounds.of(deployment).minimum:
        set_condition(status, AVAILABLE, "True", "MinimumReplicasAvailable",
                      "Deployment has minimum availability.", now)
    else:
        set_condition(status, AVAILABLE, "False", "MinimumReplicasUnavailable",
                      "Deployment does not have minimum availability.", now)
    return status


def condition(status: Status, type_: str) -> Condition | None:
    return next((each for each in status.conditions if each.type == type_), None)


def set_condition(status: Status, type_: str, value: str, reason: str, message: str, now: Time, *,
                  refresh: bool = False) -> None:
    """Put a condition in place. One with the same status and reason stays as it is, unless it is to be refreshed."""
    before, stamp = condition(status, type_), times.rfc3339(now)
    if before and before.status == value and before.reason == reason and not refresh:
        return
    since = before.lastTransitionTime if before and before.status == value else stamp
    status.conditions = [*(each for each in status.conditions if each.type != type_),
                         Condition(type=type_, status=value, reason=reason, message=message, lastUpdateTime=stamp,
                                   lastTransitionTime=since)]


def drop_condition(status: Status, type_: str) -> None:
    status.conditions = [each for each in status.conditions if each.type != type_]


def has_deadline(deployment: apps_v1.Deployment) -> bool:
    return deployment.spec.progressDeadlineSeconds not in (None, NO_DEADLINE)


def complete(deployment: apps_v1.Deployment, status: Status) -> bool:
    """Every replica is of the new set and available, and nothing of the old ones is left."""
    return (status.updatedReplicas == status.replicas == status.availableReplicas == replicas(deployment)
            and status.observedGeneration >= (deployment.metadata.generation or 0))


def advanced(before: Status, after: Status) -> bool:
    """Whether anything got better since the last status."""
    return (after.updatedReplicas > before.updatedReplicas
            or after.replicas - after.updatedReplicas < before.replicas - before.updatedReplicas
            or after.readyReplicas > before.readyReplicas
            or after.availableReplicas > before.availableReplicas)


def deadline(deployment: apps_v1.Deployment, status: Status, now: Time) -> Seconds | None:
    """Seconds until the rollout counts as stuck, negative if it does; None where nothing is under way."""
    found = condition(status, PROGRESSING)
    if found is None or found.reason == COMPLETE or not has_deadline(deployment):
        return None
    if found.reason == TIMED_OUT:
        return -1.0
    started = times.parse(found.lastUpdateTime) if found.lastUpdateTime else now
    return started + (deployment.spec.progressDeadlineSeconds or 0) - now


def follow_progress(deployment: apps_v1.Deployment, status: Status, new: apps_v1.ReplicaSet | None, now: Time) -> None:
    """Bring Progressing up to date. `status` has fresh counts, the deployment the last ones that were told."""
    if not has_deadline(deployment):
        drop_condition(status, PROGRESSING)
        return
    current = condition(status, PROGRESSING)
    if status.replicas == status.updatedReplicas and current is not None and current.reason == COMPLETE:
        return
    what = f'ReplicaSet "{new.metadata.name}"' if new else f'Deployment "{deployment.metadata.name}"'
    left = deadline(deployment, status, now)
    if complete(deployment, status):
        set_condition(status, PROGRESSING, "True", COMPLETE, f"{what} has successfully progressed.", now)
    elif advanced(deployment.status, status):
        set_condition(status, PROGRESSING, "True", UPDATED, f"{what} is progressing.", now, refresh=True)
    elif left is not None and left < 0:
        set_condition(status, PROGRESSING, "False", TIMED_OUT, f"{what} has timed out progressing.", now)


def follow_pause(deployment: apps_v1.Deployment, status: Status, now: Time) -> None:
    """Say that a rollout rests, so that its deadline does not run on."""
    current = condition(status, PROGRESSING)
    if not has_deadline(deployment) or (current is not None and current.reason == TIMED_OUT):
        return
    rests = current is not None and current.reason == PAUSED
    if deployment.spec.paused and not rests:
        set_condition(status, PROGRESSING, "Unknown", PAUSED, "Deployment is paused", now)
    elif not deployment.spec.paused and rests:
        set_condition(status, PROGRESSING, "Unknown", RESUMED, "Deployment is resumed", now)


def follow_failures(status: Status, new: apps_v1.ReplicaSet | None, sets: Sequence[apps_v1.ReplicaSet]) -> None:
    """Pass on why pods cannot be created: the new set's reason, or else any other's."""
    found = [each for replica_set in ([new] if new else []) + [*sets] for each in replica_set.status.conditions
             if each.type == FAILURE]
    if not found:
        drop_condition(status, FAILURE)
        return
    first = found[0]
    before = condition(status, FAILURE)
    if before and before.status == first.status and before.reason == first.reason:
        return
    drop_condition(status, FAILURE)
    status.conditions.append(Condition(type=FAILURE, status=first.status, reason=first.reason, message=first.message,
                                       lastTransitionTime=first.lastTransitionTime,
                                       lastUpdateTime=first.lastTransitionTime))
