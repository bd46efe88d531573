"""Columns of the cluster itself: nodes, namespaces, events, identities, policy and extensions."""

from __future__ import annotations

from timonier.apiserver.request import Object
from timonier.apiserver.tables.columns import (
    AGE,
    CREATED_AT,
    NAME,
    NONE,
    UNSET,
    Column,
    at,
    column,
    condition,
    count,
    length,
    path,
    quantity,
    timed,
    wide,
)
from timonier.apiserver.tables.durations import UNKNOWN, human, since
from timonier.kit.clock import Time

ROLE_PREFIX, OLD_ROLE = "node-role.kubernetes.io/", "kubernetes.io/role"


def node_status(node: Object) -> str:
    found = condition(node, "Ready")
    status = "Unknown" if found is None else "Ready" if found.get("status") == "True" else "NotReady"
    return f"{status},SchedulingDisabled" if at(node, "spec.unschedulable") else status


def roles(node: Object) -> str:
    """From labels: `node-role.kubernetes.io/<role>` and `kubernetes.io/role=<role>`."""
    labels = node["metadata"].get("labels") or {}
    named = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)}
    return ",".join(sorted((named | {labels.get(OLD_ROLE, "")}) - {""})) or NONE


def node_address(kind: str) -> Column:
    def of(node: Object) -> str:
        addresses = at(node, "status.addresses", ())
        return next((entry["address"] for entry in addresses if entry.get("type") == kind), NONE)

    return wide(f"{kind.removesuffix('IP')}-IP", of)


def node_info(name: str, field: str) -> Column:
    return wide(name, lambda node: at(node, f"status.nodeInfo.{field}") or UNKNOWN)


def first_seen(event: Object, now: Time) -> str:
    return since(event.get("firstTimestamp") or event.get("deprecatedFirstTimestamp") or event.get("eventTime"), now)


def last_seen(event: Object, now: Time) -> str:
    latest = at(event, "series.lastObservedTime") or event.get("lastTimestamp") or event.get("deprecatedLastTimestamp")
    return since(latest, now) if latest else first_seen(event, now)


def event_target(event: Object) -> Object:
    found: Object = event.get("involvedObject") or event.get("regarding") or {}
    return found


def event_object(event: Object) -> str:
    target = event_target(event)
    kind = str(target.get("kind", "")).lower()
    return f"{kind}/{target['name']}" if target.get("name") else kind


def event_source(event: Object) -> str:
    source = event.get("source") or event.get("deprecatedSource") or {}
    component = source.get("component") or event.get("reportingComponent") or event.get("reportingController") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return ", ".join(part for part in (component, host) if part)


def event_count(event: Object) -> int:
    return int(at(event, "series.count") or event.get("count") or event.get("deprecatedCount") or 1)


EVENT = (
    timed("Last Seen", last_seen), path("Type", "type", ""), path("Reason", "reason", ""),
    column("Object", event_object), wide("Subobject", lambda obj: event_target(obj).get("fieldPath", "")),
    wide("Source", event_source),
    column("Message", lambda obj: str(obj.get("message") or obj.get("note") or "").strip()),
    timed("First Seen", first_seen, priority=1), wide("Count", lambda obj: str(event_count(obj))),
    Column("Name", lambda obj, now: obj["metadata"]["name"], format="name", priority=1))


def quota(part: str) -> Column:
    """`cpu: 1/2, pods: 3/10`: used and allowed, requests (and counts) or limits."""
    def of(obj: Object) -> str:
        hard, used = at(obj, "status.hard", {}), at(obj, "status.used", {})
        chosen = sorted(name for name in hard if name.startswith("limits.") == (part == "Limit"))
        return ", ".join(f"{name}: {quantity(used.get(name)) or '0'}/{quantity(hard[name])}" for name in chosen)

    return column(part, of)


def subjects(kind: str, name: str) -> Column:
    def of(binding: Object) -> str:
        return ", ".join(f"{entry.get('namespace', '')}/{entry.get('name', '')}" if kind == "ServiceAccount"
                         else str(entry.get("name", ""))
                         for entry in binding.get("subjects") or () if entry.get("kind") == kind)

    return wide(name, of)


BINDING = (NAME, column("Role", lambda obj: f"{at(obj, 'roleRef.kind', '')}/{at(obj, 'roleRef.name', '')}"), AGE,
           subjects("User", "Users"), subjects("Group", "Groups"), subjects("ServiceAccount", "ServiceAccounts"))


def csr_condition(request: Object) -> str:
    """`Approved,Issued`, `Denied`, `Pending`."""
    kinds = {found.get("type") for found in at(request, "status.conditions", ())}
    states = [state for state in ("Approved", "Denied") if state in kinds] or ["Pending"]
    states += ["Failed"] if "Failed" in kinds else []
    return ",".join([*states, *(["Issued"] if at(request, "status.certificate") else [])])


def requested_duration(request: Object) -> str:
    seconds = at(request, "spec.expirationSeconds")
    return human(seconds) if seconds is not None else NONE


def api_service(service: Object) -> str:
    found = at(service, "spec.service")
    return f"{found.get('namespace', '')}/{found.get('name', '')}" if found else "Local"


def available(service: Object) -> str:
    found = condition(service, "Available")
    if found is None:
        return "Unknown"
    return "True" if found.get("status") == "True" else f"{found.get('status')} ({found.get('reason', '')})"


def reference(where: str, *parts: str) -> Column:
    """A reference to a kind (`apps/v1/Deployment`) or an object (`default/name`)."""
    name = "ParamKind" if where == "spec.paramKind" else "ParamRef"
    return column(name, lambda obj: "/".join(
        at(obj, f"{where}.{part}") for part in parts if at(obj, f"{where}.{part}")) or UNSET)


def missing_level(schema: Object) -> str:
    found = condition(schema, "Dangling")
    return "?" if found is None else str(found.get("status", "?"))


def component(obj: Object, field: str) -> str:
    found: Object = next((entry for entry in obj.get("conditions") or () if entry.get("type") == "Healthy"), {})
    value = str(found.get(field, ""))
    return {"True": "Healthy", "False": "Unhealthy"}.get(value, "Unknown") if field == "status" else value


QUEUING = "spec.limited.limitResponse.queuing"
PARAM_KIND = reference("spec.paramKind", "apiVersion", "kind")
PARAM_REF = reference("spec.paramRef", "namespace", "name")
WEBHOOKS = (NAME, length("Webhooks", "webhooks"), AGE)
POLICY_BINDING = (NAME, path("PolicyName", "spec.policyName"), PARAM_REF, AGE)

CLUSTER_COLUMNS: dict[str, tuple[Column, ...]] = {
    "v1/Namespace": (NAME, path("Status", "status.phase"), AGE),
    "v1/Node": (
        NAME, column("Status", node_status), column("Roles", roles), AGE,
        path("Version", "status.nodeInfo.kubeletVersion"),
        node_address("InternalIP"), node_address("ExternalIP"), node_info("OS-Image", "osImage"),
        node_info("Kernel-Version", "kernelVersion"), node_info("Container-Runtime", "containerRuntimeVersion")),
    "v1/Event": EVENT,
    "events.k8s.io/v1/Event": EVENT,
    "v1/ServiceAccount": (NAME, length("Secrets", "secrets"), AGE),
    "v1/ResourceQuota": (NAME, quota("Request"), quota("Limit"), AGE),
    "v1/ComponentStatus": (
        NAME, column("Status", lambda obj: component(obj, "status")),
        column("Message", lambda obj: component(obj, "message")), column("Error", lambda obj: component(obj, "error"))),
    "rbac.authorization.k8s.io/v1/RoleBinding": BINDING,
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": BINDING,
    "certificates.k8s.io/v1/CertificateSigningRequest": (
        NAME, AGE, path("SignerName", "spec.signerName"), path("Requestor", "spec.username"),
        column("RequestedDuration", requested_duration), column("Condition", csr_condition)),
    "certificates.k8s.io/v1/ClusterTrustBundle": (NAME, path("SignerName", "spec.signerName")),
    "certificates.k8s.io/v1/PodCertificateRequest": (
        NAME, path("PodName", "spec.podName"), path("ServiceAccount", "spec.serviceAccountName"),
        path("NodeName", "spec.nodeName"), column("State", lambda obj: next(
            (c["type"] for c in at(obj, "status.conditions", ()) if c.get("type") in ("Denied", "Failed", "Issued")),
            "Pending"))),
    "coordination.k8s.io/v1/Lease": (NAME, path("Holder", "spec.holderIdentity", ""), AGE),
    "flowcontrol.apiserver.k8s.io/v1/FlowSchema": (
        NAME, path("PriorityLevel", "spec.priorityLevelConfiguration.name"),
        count("MatchingPrecedence", "spec.matchingPrecedence"),
        path("DistinguisherMethod", "spec.distinguisherMethod.type"), AGE, column("MissingPL", missing_level)),
    "flowcontrol.apiserver.k8s.io/v1/PriorityLevelConfiguration": (
        NAME, path("Type", "spec.type"),
        path("NominalConcurrencyShares", "spec.limited.nominalConcurrencyShares"), path("Queues", f"{QUEUING}.queues"),
        path("HandSize", f"{QUEUING}.handSize"), path("QueueLengthLimit", f"{QUEUING}.queueLengthLimit"), AGE),
    "apiextensions.k8s.io/v1/CustomResourceDefinition": (NAME, CREATED_AT),
    "apiregistration.k8s.io/v1/APIService": (
        NAME, column("Service", api_service), column("Available", available), AGE),
    "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration": WEBHOOKS,
    "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration": WEBHOOKS,
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy": (
        NAME, length("Validations", "spec.validations"), PARAM_KIND, AGE),
    "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy": (
        NAME, length("Mutations", "spec.mutations"), PARAM_KIND, AGE),
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": POLICY_BINDING,
    "admissionregistration.k8s.io/v1/MutatingAdmissionPolicyBinding": POLICY_BINDING,
}
