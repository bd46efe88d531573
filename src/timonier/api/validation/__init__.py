"""What is wrong with an object: `validate(kind, obj, old)` returns every cause at once, in Kubernetes's words.

The object has been through `api.check` and `api.defaults`, and carries its name and namespace. What needs more than the
object and its predecessor is not here: whether a name is taken, a quota full, an address free.

`RULES` says for each kind how its names look and which functions judge it; a kind without a row is held to what its
schema requires. To add a kind, add a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from timonier.api import names
from timonier.api.errors import Cause
from timonier.api.fill import fill
from timonier.api.kinds import Kind
from timonier.api.patches.clone import clone
from timonier.api.validation import (
    access,
    config,
    jobs,
    networks,
    nodes,
    pods,
    policies,
    services,
    storage,
    workloads,
)
from timonier.api.validation.causes import Causes
from timonier.api.validation.metadata import finalizers, metadata, metadata_update
from timonier.api.validation.required import required_fields

Obj = dict[str, Any]
Rule = Callable[[Obj, Causes], None]
UpdateRule = Callable[[Obj, Obj, Causes], None]


@dataclass(frozen=True)
class Rules:
    """How a kind is judged. `update` sees the old object too; `again` says whether `create` judges updates as well."""

    create: Rule | None = None
    update: UpdateRule | None = None
    name: names.Check = names.dns_subdomain
    again: bool = True
    exact: bool = False
    """Whether `update` sees the objects as they are, since an empty container is not as good as none."""


def pod_template(obj: Obj, causes: Causes) -> None:
    pods.template(obj.get("template", {}), "template", causes)


def custom_resource(obj: Obj, causes: Causes) -> None:
    from timonier.api.validation import definitions  # a tenth of a server's start, for what is rarely written

    definitions.create(obj, causes)


def custom_resource_update(obj: Obj, old: Obj, causes: Causes) -> None:
    from timonier.api.validation import definitions

    definitions.update(obj, old, causes)


RULES: dict[str, Rules] = {
    "v1/Binding": Rules(pods.binding),
    "v1/ConfigMap": Rules(config.config_map, config.config_map_update),
    "v1/Endpoints": Rules(services.endpoints),
    "v1/Event": Rules(nodes.event, again=False),
    "v1/LimitRange": Rules(config.limit_range),
    "v1/Namespace": Rules(config.namespace, name=names.dns_label),
    "v1/Node": Rules(nodes.node, nodes.node_update),
    "v1/PersistentVolume": Rules(storage.volume, storage.volume_update),
    "v1/PersistentVolumeClaim": Rules(storage.claim, storage.claim_update),
    "v1/Pod": Rules(pods.pod, pods.pod_update, again=False),
    "v1/PodTemplate": Rules(pod_template),
    "v1/ReplicationController": Rules(workloads.replication_controller),
    "v1/ResourceQuota": Rules(config.resource_quota),
    "v1/Secret": Rules(config.secret, config.secret_update),
    "v1/Service": Rules(services.service, services.service_update, name=names.dns1035),
    "v1/ServiceAccount": Rules(config.service_account),
    "apps/v1/DaemonSet": Rules(workloads.daemon_set, workloads.selector_update),
    "apps/v1/Deployment": Rules(workloads.deployment, workloads.selector_update),
    "apps/v1/ReplicaSet": Rules(workloads.replica_set, workloads.selector_update),
    "apps/v1/StatefulSet": Rules(workloads.stateful_set, workloads.stateful_set_update, name=names.dns_label),
    "autoscaling/v1/HorizontalPodAutoscaler": Rules(policies.autoscaler),
    "autoscaling/v2/HorizontalPodAutoscaler": Rules(policies.autoscaler),
    "batch/v1/CronJob": Rules(jobs.cron_job),
    "batch/v1/Job": Rules(jobs.job, jobs.job_update),
    "policy/v1/PodDisruptionBudget": Rules(policies.disruption_budget),
    "scheduling.k8s.io/v1/PriorityClass": Rules(nodes.priority_class, nodes.priority_class_update),
    "discovery.k8s.io/v1/EndpointSlice": Rules(services.endpoint_slice, services.endpoint_slice_update),
    "networking.k8s.io/v1/Ingress": Rules(networks.ingress),
    "networking.k8s.io/v1/NetworkPolicy": Rules(networks.network_policy),
    "storage.k8s.io/v1/StorageClass": Rules(storage.storage_class, storage.storage_class_update),
    "rbac.authorization.k8s.io/v1/ClusterRole": Rules(access.cluster_role, name=names.path_segment),
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": Rules(access.cluster_role_binding, access.binding_update,
                                                             name=names.path_segment),
    "rbac.authorization.k8s.io/v1/Role": Rules(access.role, name=names.path_segment),
    "rbac.authorization.k8s.io/v1/RoleBinding": Rules(access.role_binding, access.binding_update,
                                                      name=names.path_segment),
    "certificates.k8s.io/v1/CertificateSigningRequest": Rules(access.signing_request),
    "authorization.k8s.io/v1/LocalSubjectAccessReview": Rules(access.subject_access_review),
    "authorization.k8s.io/v1/SubjectAccessReview": Rules(access.subject_access_review),
    "authorization.k8s.io/v1/SelfSubjectAccessReview": Rules(access.self_access_review),
    "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration": Rules(policies.webhooks),
    "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration": Rules(policies.webhooks),
    "apiextensions.k8s.io/v1/CustomResourceDefinition": Rules(custom_resource, custom_resource_update, again=False,
                                                              exact=True),
    "apiregistration.k8s.io/v1/APIService": Rules(policies.api_service, name=names.path_segment),
    "coordination.k8s.io/v1/Lease": Rules(nodes.lease),
    "events.k8s.io/v1/Event": Rules(nodes.new_event, again=False),
    "node.k8s.io/v1/RuntimeClass": Rules(nodes.runtime_class, nodes.runtime_class_update),
}

NAMELESS = frozenset({
    "authentication.k8s.io/v1/SelfSubjectReview", "authentication.k8s.io/v1/TokenReview",
    "authorization.k8s.io/v1/LocalSubjectAccessReview", "authorization.k8s.io/v1/SelfSubjectAccessReview",
    "authorization.k8s.io/v1/SelfSubjectRulesReview", "authorization.k8s.io/v1/SubjectAccessReview",
})
"""Questions rather than objects: they are answered and forgotten, and have no metadata to check."""


OWN_FINALIZERS = frozenset({"admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io"})
"""Groups whose objects take any finalizer that is a qualified name; in others a bare one must be Kubernetes's own."""


def comparable(kind: Kind, obj: Obj, old: Obj) -> tuple[Obj, Obj]:
    """Both objects without what makes no difference: zero values that only one of them spells out, empty containers.

    Where nothing but metadata and status differs, as when a controller reports, they are compared as they are.
    """
    fields = (obj.keys() | old.keys()) - {"metadata", "status"}
    if all(obj.get(field) == old.get(field) for field in fields):
        return obj, old
    now, then = clone(obj), clone(old)
    for each in (now, then):
        fill(each, kind.definition)
    return essence(now), essence(then)


def essence(value: Any) -> Any:
    """A value without its empty containers, which are as good as absent."""
    if isinstance(value, dict):
        return {key: kept for key, child in value.items() if (kept := essence(child)) not in ({}, [], None)}
    return [essence(child) for child in value] if isinstance(value, list) else value


def validate(kind: Kind, obj: Obj, old: Obj | None = None) -> list[Cause]:
    """All that is wrong with an object that is to be created, or that is to take the place of `old`."""
    causes = Causes()
    rules = RULES.get(kind.id)
    if old is not None:
        metadata_update(obj, old, causes)
    elif kind.id not in NAMELESS:
        metadata(kind, obj, rules.name if rules else names.dns_subdomain, causes)
    if kind.group not in OWN_FINALIZERS:
        finalizers(obj.get("metadata", {}).get("finalizers", []), "metadata.finalizers", causes)
    if rules is None:
        required_fields(obj, kind.definition, causes)
        return causes
    if old is not None and rules.update:
        rules.update(*((obj, old) if rules.exact else comparable(kind, obj, old)), causes)
    if rules.create and (old is None or rules.again):
        rules.create(obj, causes)
    return causes
