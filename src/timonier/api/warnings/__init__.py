"""What is right but better said otherwise: `warnings(kind, obj, old)` says what clients show as `Warning:`.

Nothing is refused for it: deprecated fields, labels and annotations, definitions that hide others, values that do
nothing. `TOLD` says for each kind what to look for. An update is looked at only where what is wanted changed, and pods
not at all, since people rarely change them and controllers do all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from timonier.api.kinds import Kind
from timonier.api.warnings import others, pods

Obj = dict[str, Any]
Teller = Callable[[Obj], Iterator[str]]

TOLD: dict[str, Teller] = {
    "v1/Pod": pods.pod,
    "v1/PodTemplate": pods.template_at("template"),
    "v1/ReplicationController": pods.workload,
    "apps/v1/DaemonSet": pods.workload,
    "apps/v1/Deployment": pods.workload,
    "apps/v1/ReplicaSet": pods.workload,
    "apps/v1/StatefulSet": others.stateful_set,
    "batch/v1/CronJob": others.cron_job,
    "batch/v1/Job": others.job,
    "v1/Node": others.node,
    "v1/PersistentVolume": others.volume,
    "v1/PersistentVolumeClaim": others.claim,
    "v1/Secret": others.secret,
    "v1/Service": others.service,
    "networking.k8s.io/v1/Ingress": others.ingress,
    "networking.k8s.io/v1/NetworkPolicy": others.network_policy,
    "node.k8s.io/v1/RuntimeClass": others.runtime_class,
    "storage.k8s.io/v1/CSIStorageCapacity": others.storage_capacity,
    "storage.k8s.io/v1/StorageClass": others.storage_class,
}


def warnings(kind: Kind, obj: Obj, old: Obj | None = None) -> list[str]:
    """What to tell whoever wrote an object of a stored kind, in the order in which Kubernetes does."""
    teller = TOLD.get(kind.id)
    if teller is None or (old is not None and not looked_at(kind, obj, old)):
        return []
    return list(teller(obj))


def looked_at(kind: Kind, obj: Obj, old: Obj) -> bool:
    unchanged = all(obj.get(part) == old.get(part) for part in (obj.keys() | old.keys()) - {"metadata", "status"})
    return kind.id != "v1/Pod" and not unchanged
