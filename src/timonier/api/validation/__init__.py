"""What is wrong with an object: `validate(kind, obj, old)` returns every cause at once, in Kubernetes's words.

The object has been through `api.check` and `api.defaults`, and carries its name and namespace. What needs more than the
object and its predecessor is not here: whether a name is taken, a quota full, an address free.

`RULES` says for each kind that is stored, and for each view that is judged by itself, how its names look and which
functions judge it: as it is to be, against what it was, and through which side door. Rules of plain kinds are rows
(`declared`). To add a kind, add a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from timonier.api import names
from timonier.api.errors import Cause
from timonier.api.fill import FORMER_NAMES, fill
from timonier.api.kinds import Kind
from timonier.api.patches.clone import clone
from timonier.api.validation import (
    access,
    certificates,
    config,
    devices,
    endpoints,
    events,
    extensions,
    flows,
    jobs,
    limits,
    networks,
    nodes,
    pod_changes,
    pod_resize,
    pods,
    policies,
    scaling,
    services,
    storage,
    webhooks,
    workloads,
)
from timonier.api.validation.causes import Causes
from timonier.api.validation.declared import declare, fixed, required, within
from timonier.api.validation.declared import field as row
from timonier.api.validation.metadata import finalizers, metadata, metadata_update

Obj = dict[str, Any]
Rule = Callable[[Obj, Causes], None]
UpdateRule = Callable[[Obj, Obj, Causes], None]


@dataclass(frozen=True)
class Rules:
    """How a kind is judged. An update is judged as a whole, by `create`, and against what was, by `update`."""

    create: Rule | None = None
    update: UpdateRule | None = None
    name: names.Check = names.dns_subdomain
    again: bool = True
    """Whether `create` judges updates as well; where not, `update` says all."""
    changes_first: bool = False
    """Whether what an update must not change is said before what is wrong with the whole."""
    exact: bool = False
    """Whether `update` sees the objects as they are, since an empty container is not as good as none."""
    doors: Mapping[str, UpdateRule] = field(default_factory=dict)
    """What comes through subresources, which change a part: by the name of each."""


def nothing(obj: Obj, causes: Causes) -> None:
    """Kinds of which nothing can be wrong but their metadata."""


def custom_resource(obj: Obj, causes: Causes) -> None:
    from timonier.api.validation import definitions  # a tenth of a server's start, for what is rarely written

    definitions.create(obj, causes)


def custom_resource_update(obj: Obj, old: Obj, causes: Causes) -> None:
    from timonier.api.validation import definitions

    definitions.update(obj, old, causes)


RULES: dict[str, Rules] = {
    "v1/Binding": Rules(pods.binding),
    "v1/ComponentStatus": Rules(nothing),
    "v1/ConfigMap": Rules(config.config_map, config.config_map_update, changes_first=True),
    "v1/Endpoints": Rules(endpoints.endpoints),
    "v1/Event": Rules(events.event),
    "v1/LimitRange": Rules(limits.limit_range),
    "v1/Namespace": Rules(config.namespace, name=names.dns_label, again=False, doors={
        "status": config.namespace_status, "finalize": config.namespace_finalize}),
    "v1/Node": Rules(nodes.node, nodes.node_update, again=False, doors={"status": nodes.node_update}),
    "v1/PersistentVolume": Rules(storage.volume, storage.volume_update),
    "v1/PersistentVolumeClaim": Rules(storage.claim, storage.claim_update, doors={"status": storage.claim_status}),
    "v1/Pod": Rules(pods.pod, pod_changes.pod_update, again=False, doors={
        "status": pod_changes.pod_status, "ephemeralcontainers": pod_changes.ephemeral_containers,
        "resize": pod_resize.resize}),
    "v1/PodTemplate": Rules(pods.pod_template),
    "v1/ReplicationController": Rules(workloads.replication_controller, doors={
        "status": workloads.replica_set_status, "scale": workloads.scale}),
    "v1/ResourceQuota": Rules(limits.resource_quota, limits.resource_quota_update, doors={
        "status": limits.resource_quota_status}),
    "v1/Secret": Rules(config.secret, config.secret_update, changes_first=True),
    "v1/Service": Rules(services.service, services.service_update, name=names.dns1035, changes_first=True, doors={
        "status": services.service_status}),
    "v1/ServiceAccount": Rules(nothing),
    "apps/v1/ControllerRevision": Rules(workloads.controller_revision, fixed("data")),
    "apps/v1/DaemonSet": Rules(workloads.daemon_set, workloads.selector_update, doors={
        "status": workloads.daemon_set_status}),
    "apps/v1/Deployment": Rules(workloads.deployment, workloads.selector_update, doors={
        "status": workloads.deployment_status, "scale": workloads.scale}),
    "apps/v1/ReplicaSet": Rules(workloads.replica_set, workloads.selector_update, doors={
        "status": workloads.replica_set_status, "scale": workloads.scale}),
    "apps/v1/StatefulSet": Rules(workloads.stateful_set, workloads.stateful_set_update, name=names.dns_label, doors={
        "status": workloads.stateful_set_status, "scale": workloads.scale}),
    "autoscaling/v2/HorizontalPodAutoscaler": Rules(scaling.autoscaler, doors={"status": scaling.autoscaler_status}),
    "batch/v1/CronJob": Rules(jobs.cron_job),
    "batch/v1/Job": Rules(jobs.job, jobs.job_update, doors={"status": jobs.job_status}),
    "policy/v1/PodDisruptionBudget": Rules(scaling.disruption_budget, doors={
        "status": scaling.disruption_budget_status}),
    "scheduling.k8s.io/v1/PriorityClass": Rules(nodes.priority_class, nodes.priority_class_update, again=False),
    "discovery.k8s.io/v1/EndpointSlice": Rules(endpoints.endpoint_slice, endpoints.endpoint_slice_update),
    "networking.k8s.io/v1/Ingress": Rules(networks.ingress_create, networks.ingress_update, again=False, doors={
        "status": networks.ingress_status}),
    "networking.k8s.io/v1/IngressClass": Rules(networks.ingress_class, networks.ingress_class_update, again=False),
    "networking.k8s.io/v1/IPAddress": Rules(networks.ip_address, networks.ip_address_update,
                                            name=networks.address_name),
    "networking.k8s.io/v1/NetworkPolicy": Rules(networks.network_policy),
    "networking.k8s.io/v1/ServiceCIDR": Rules(networks.service_cidr, networks.service_cidr_update),
    "storage.k8s.io/v1/CSIDriver": Rules(storage.csi_driver, storage.csi_driver_update, name=names.csi_driver),
    "storage.k8s.io/v1/CSINode": Rules(storage.csi_node, storage.csi_node_update),
    "storage.k8s.io/v1/CSIStorageCapacity": Rules(storage.storage_capacity, storage.storage_capacity_update),
    "storage.k8s.io/v1/StorageClass": Rules(storage.storage_class, storage.storage_class_update, again=False),
    "storage.k8s.io/v1/VolumeAttachment": Rules(storage.volume_attachment, storage.volume_attachment_update),
    "storage.k8s.io/v1/VolumeAttributesClass": Rules(storage.attributes_class, storage.attributes_class_update,
                                                     again=False),
    "resource.k8s.io/v1/DeviceClass": Rules(devices.device_class),
    "resource.k8s.io/v1/DeviceTaintRule": Rules(devices.taint_rule),
    "resource.k8s.io/v1/ResourceClaim": Rules(devices.claim, devices.claim_update, doors={
        "status": devices.claim_status}),
    "resource.k8s.io/v1/ResourceClaimTemplate": Rules(devices.claim_template, fixed("spec")),
    "resource.k8s.io/v1/ResourceSlice": Rules(devices.resource_slice, devices.resource_slice_update),
    "rbac.authorization.k8s.io/v1/ClusterRole": Rules(access.cluster_role, name=names.path_segment),
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": Rules(access.cluster_role_binding, access.binding_update,
                                                             name=names.path_segment),
    "rbac.authorization.k8s.io/v1/Role": Rules(access.role, name=names.path_segment),
    "rbac.authorization.k8s.io/v1/RoleBinding": Rules(access.role_binding, access.binding_update,
                                                      name=names.path_segment),
    "certificates.k8s.io/v1/CertificateSigningRequest": Rules(certificates.signing_request, doors={
        "status": certificates.signing_status, "approval": certificates.signing_status}),
    "certificates.k8s.io/v1/ClusterTrustBundle": Rules(certificates.trust_bundle, certificates.trust_bundle_update,
                                                       name=names.anything),
    "certificates.k8s.io/v1/PodCertificateRequest": Rules(certificates.pod_request, certificates.pod_request_update),
    "authentication.k8s.io/v1/SelfSubjectReview": Rules(nothing),
    "authentication.k8s.io/v1/TokenReview": Rules(nothing),
    "authorization.k8s.io/v1/LocalSubjectAccessReview": Rules(access.local_access_review),
    "authorization.k8s.io/v1/SelfSubjectAccessReview": Rules(access.self_access_review),
    "authorization.k8s.io/v1/SelfSubjectRulesReview": Rules(nothing),
    "authorization.k8s.io/v1/SubjectAccessReview": Rules(access.subject_access_review),
    "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy": Rules(policies.mutating_policy),
    "admissionregistration.k8s.io/v1/MutatingAdmissionPolicyBinding": Rules(policies.binding),
    "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration": Rules(webhooks.webhooks),
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy": Rules(policies.validating_policy),
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": Rules(policies.validating_binding),
    "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration": Rules(webhooks.webhooks),
    "apiextensions.k8s.io/v1/CustomResourceDefinition": Rules(
        custom_resource, custom_resource_update, again=False, exact=True, doors={"status": custom_resource_update}),
    "apiregistration.k8s.io/v1/APIService": Rules(extensions.api_service, name=names.path_segment, doors={
        "status": extensions.api_service_status}),
    "coordination.k8s.io/v1/Lease": Rules(nodes.lease),
    "events.k8s.io/v1/Event": Rules(events.new_event, events.new_event_update, again=False, exact=True),
    "flowcontrol.apiserver.k8s.io/v1/FlowSchema": Rules(flows.flow_schema, doors={"status": flows.flow_status}),
    "flowcontrol.apiserver.k8s.io/v1/PriorityLevelConfiguration": Rules(flows.priority_level, doors={
        "status": flows.flow_status}),
    "node.k8s.io/v1/RuntimeClass": Rules(nodes.runtime_class, nodes.runtime_class_update, again=False),
    "storagemigration.k8s.io/v1/StorageVersionMigration": Rules(
        declare(row("spec.resource", required), within("spec.resource", row("resource", required))), fixed("spec")),
}

NAMELESS = frozenset({
    "authentication.k8s.io/v1/SelfSubjectReview", "authentication.k8s.io/v1/TokenReview",
    "authorization.k8s.io/v1/LocalSubjectAccessReview", "authorization.k8s.io/v1/SelfSubjectAccessReview",
    "authorization.k8s.io/v1/SelfSubjectRulesReview", "authorization.k8s.io/v1/SubjectAccessReview",
})
"""Questions rather than objects: they are answered and forgotten, and have no metadata to check."""


OWN_FINALIZERS = frozenset({"admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io"})
"""Groups whose objects take any finalizer that is a qualified name; in others a bare one must be Kubernetes's own."""


TWO_NAMES = {name for _, name in FORMER_NAMES.values()}


def comparable(kind: Kind, obj: Obj, old: Obj) -> tuple[Obj, Obj]:
    """Both objects without what makes no difference: zero values that only one of them spells out, empty containers.

    Where nothing but metadata and status differs, as when a controller reports, they are compared as they are, and so
    is whatever is the same in both, of objects and of their specs.
    """
    fields = (obj.keys() | old.keys()) - {"metadata", "status"}
    if all(obj.get(field) == old.get(field) for field in fields):
        return obj, old
    spec, old_spec = obj.get("spec"), old.get("spec")
    alike = same(obj, old)
    alike_within = same(spec, old_spec) if isinstance(spec, dict) and isinstance(old_spec, dict) else {}
    pair = []
    for each in (obj, old):
        rest = {key: value for key, value in each.items() if key not in alike}
        if alike_within and "spec" in rest:
            rest["spec"] = {key: value for key, value in rest["spec"].items() if key not in alike_within}
        rest = clone(rest)
        fill(rest, kind.definition)
        bare = essence(rest)
        if alike_within and "spec" not in alike:
            bare["spec"] = in_order(bare.get("spec", {}), alike_within, each["spec"])
        pair.append(in_order(bare, alike, each))
    return pair[0], pair[1]


def same(obj: Obj, old: Obj) -> Obj:
    """What two objects agree on, but for fields with a former name, which is filled in from the field."""
    return {key: value for key, value in obj.items() if key in old and old[key] == value and key not in TWO_NAMES}


def in_order(found: Obj, more: Obj, like: Obj) -> Obj:
    """The fields of two objects, those of `more` before the others', in the order in which a third one has them."""
    both = found | more
    return {key: both[key] for key in (*like, *(key for key in both if key not in like)) if key in both}


def essence(value: Any) -> Any:
    """A value without its empty containers, which are as good as absent."""
    if isinstance(value, dict):
        return {key: kept for key, child in value.items() if (kept := essence(child)) not in ({}, [], None)}
    return [essence(child) for child in value] if isinstance(value, list) else value


def validate(kind: Kind, obj: Obj, old: Obj | None = None, subresource: str = "") -> list[Cause]:
    """All that is wrong with an object that is to be created, or that is to take the place of `old`.

    What comes through a subresource is judged by that alone: the rest of the object is as it was.
    """
    rules = RULES[kind.id]
    if old is None:
        causes = of_metadata(kind, obj)
        if rules.create:
            rules.create(obj, causes)
        return causes
    causes = Causes()
    metadata_update(obj, old, causes)
    checked_finalizers(kind, obj, causes)
    if subresource:
        if door := rules.doors.get(subresource):
            door(obj, old, causes)
    else:
        judge_update(kind, rules, obj, old, causes)
    return causes


def of_metadata(kind: Kind, obj: Obj) -> Causes:
    """All that is wrong with the metadata of an object that is to be created."""
    causes = Causes()
    if kind.id not in NAMELESS:
        metadata(kind, obj, RULES[kind.id].name, causes)
        checked_finalizers(kind, obj, causes)
    return causes


def judge_update(kind: Kind, rules: Rules, obj: Obj, old: Obj, causes: Causes) -> None:
    pair = (obj, old) if rules.exact or not rules.update else comparable(kind, obj, old)
    if rules.update and rules.changes_first:
        rules.update(*pair, causes)
    if rules.create and rules.again:
        rules.create(obj, causes)
    if rules.update and not rules.changes_first:
        rules.update(*pair, causes)


def checked_finalizers(kind: Kind, obj: Obj, causes: Causes) -> None:
    given = obj.get("metadata", {}).get("finalizers")
    if given and kind.group not in OWN_FINALIZERS:
        finalizers(given, "metadata.finalizers", causes)
