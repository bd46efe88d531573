"""The roles and bindings that every cluster starts with, as data.

`ROLES` and its siblings are tables; `objects()` makes API objects of them. They are those of Kubernetes v1.37, for the
components and controllers that run here; where a controller there updates, ours may also patch. At start the server
adds what is missing (`auth.bootstrap`), so that later versions can bring new rules.

The form of a rule is told in `auth.rule_lines`, the roles of controllers are in `auth.controller_roles`.
Source: Kubernetes documentation, "Using RBAC Authorization", default roles and role bindings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from timonier.apiserver.auth.controller_roles import CONTROLLERS
from timonier.apiserver.auth.rule_lines import EVENTS, rules
from timonier.apiserver.request import Object

ROLES: dict[str, str] = {
    "cluster-admin": """
        EVERY * *
        EVERY url *""",
    "system:aggregate-to-admin": """
        create authorization.k8s.io localsubjectaccessreviews
        ANY rbac.authorization.k8s.io roles rolebindings""",
    "system:aggregate-to-edit": """
        READ core pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy
        impersonate core serviceaccounts
        WRITE core pods pods/attach pods/exec pods/portforward pods/proxy
        create core pods/eviction serviceaccounts/token
        WRITE core configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale \
            secrets serviceaccounts services services/proxy
        WRITE apps daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale \
            statefulsets statefulsets/scale
        WRITE autoscaling horizontalpodautoscalers
        WRITE batch cronjobs jobs
        WRITE policy poddisruptionbudgets
        WRITE networking.k8s.io ingresses networkpolicies
        WRITE resource.k8s.io resourceclaims resourceclaimtemplates
        ANY coordination.k8s.io leases""",
    "system:aggregate-to-view": """
        READ core configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods \
            replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status
        READ core bindings events limitranges namespaces/status pods/log pods/status \
            replicationcontrollers/status resourcequotas resourcequotas/status
        READ core namespaces
        READ discovery.k8s.io endpointslices
        READ apps controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status \
            replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status
        READ autoscaling horizontalpodautoscalers horizontalpodautoscalers/status
        READ batch cronjobs cronjobs/status jobs jobs/status
        READ policy poddisruptionbudgets poddisruptionbudgets/status
        READ networking.k8s.io ingresses ingresses/status networkpolicies
        READ resource.k8s.io resourceclaims resourceclaims/status resourceclaimtemplates""",
    "system:auth-delegator": """
        create authentication.k8s.io tokenreviews
        create authorization.k8s.io subjectaccessreviews""",
    "system:basic-user": """
        create authorization.k8s.io selfsubjectaccessreviews selfsubjectrulesreviews
        create authentication.k8s.io selfsubjectreviews""",
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient":
        "create certificates.k8s.io certificatesigningrequests/nodeclient",
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient":
        "create certificates.k8s.io certificatesigningrequests/selfnodeclient",
    "system:certificates.k8s.io:kube-apiserver-client-approver":
        "approve certificates.k8s.io signers : kubernetes.io/kube-apiserver-client",
    "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver":
        "approve certificates.k8s.io signers : kubernetes.io/kube-apiserver-client-kubelet",
    "system:certificates.k8s.io:kubelet-serving-approver":
        "approve certificates.k8s.io signers : kubernetes.io/kubelet-serving",
    "system:certificates.k8s.io:legacy-unknown-approver":
        "approve certificates.k8s.io signers : kubernetes.io/legacy-unknown",
    "system:discovery":
        "get url /api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/",
    "system:public-info-viewer": "get url /healthz /livez /readyz /version /version/",
    "system:service-account-issuer-discovery": "get url /.well-known/openid-configuration /openid/v1/jwks",
    "system:monitoring": """get url /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/* \
        /statusz /flagz""",
    "system:kube-controller-manager": f"""
        {EVENTS}
        create coordination.k8s.io leases
        get,CHANGE coordination.k8s.io leases : kube-controller-manager
        create,get,update,delete core secrets
        create,get,update core serviceaccounts
        get core configmaps namespaces
        create authentication.k8s.io tokenreviews
        create authorization.k8s.io subjectaccessreviews
        list,watch * *
        create core serviceaccounts/token""",
    "system:kube-scheduler": f"""
        {EVENTS}
        create coordination.k8s.io leases
        get,CHANGE coordination.k8s.io leases : kube-scheduler
        READ core nodes namespaces
        READ,delete core pods
        create core bindings pods/binding
        CHANGE core pods/status
        READ core replicationcontrollers services persistentvolumeclaims persistentvolumes
        READ apps replicasets statefulsets
        READ policy poddisruptionbudgets
        READ scheduling.k8s.io priorityclasses
        create authentication.k8s.io tokenreviews
        create authorization.k8s.io subjectaccessreviews
        READ storage.k8s.io csinodes csidrivers csistoragecapacities volumeattachments storageclasses
        READ resource.k8s.io deviceclasses resourceslices
        READ,CHANGE resource.k8s.io resourceclaims
        CHANGE resource.k8s.io resourceclaims/status""",
    "system:volume-scheduler": """
        READ,CHANGE core persistentvolumes persistentvolumeclaims
        READ storage.k8s.io storageclasses""",
    "system:kubelet-api-admin": """
        READ,proxy core nodes
        EVERY core nodes/checkpoint nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy \
            nodes/stats nodes/spec""",
    "system:node": """
        create authentication.k8s.io tokenreviews
        create authorization.k8s.io localsubjectaccessreviews subjectaccessreviews
        READ core services
        create,READ,CHANGE core nodes
        CHANGE core nodes/status
        create,CHANGE core events
        READ,create,delete core pods
        CHANGE core pods/status
        create core pods/eviction
        READ core configmaps secrets
        get core persistentvolumeclaims persistentvolumes endpoints
        create,READ certificates.k8s.io certificatesigningrequests
        create,delete,get,CHANGE coordination.k8s.io leases
        get storage.k8s.io volumeattachments
        create core serviceaccounts/token
        get core serviceaccounts
        get,CHANGE core persistentvolumeclaims/status
        READ storage.k8s.io csidrivers
        create,delete,get,CHANGE storage.k8s.io csinodes
        READ node.k8s.io runtimeclasses
        get resource.k8s.io resourceclaims
        READ,create,CHANGE,delete,deletecollection resource.k8s.io resourceslices""",
    "system:node-bootstrapper": "create,READ certificates.k8s.io certificatesigningrequests",
    "system:node-problem-detector": f"""
        get core nodes
        patch core nodes/status
        {EVENTS}""",
    "system:node-proxier": f"""
        list,watch core services endpoints
        READ core nodes
        {EVENTS}
        list,watch discovery.k8s.io endpointslices
        READ networking.k8s.io servicecidrs""",
    "system:cluster-dns": """
        READ core endpoints services namespaces nodes
        READ discovery.k8s.io endpointslices""",
    "system:kube-dns": "list,watch core endpoints services",
    "system:kube-aggregator": "READ core endpoints services",
    "system:persistent-volume-provisioner": f"""
        create,delete,READ core persistentvolumes
        READ,update core persistentvolumeclaims
        READ storage.k8s.io storageclasses
        watch core events
        {EVENTS}""",
}
"""ClusterRoles by name."""

AGGREGATED = {"admin": "admin", "edit": "edit", "view": "view"}
"""ClusterRoles whose rules are gathered from those that carry the label `aggregate-to-<value>`."""

AGGREGATES_TO = {"edit": "admin", "view": "edit", "system:aggregate-to-admin": "admin",
                 "system:aggregate-to-edit": "edit", "system:aggregate-to-view": "view"}
"""The label of each ClusterRole that is gathered into another."""

NAMESPACE_ROLES: dict[tuple[str, str], str] = {
    ("kube-system", "extension-apiserver-authentication-reader"):
        "READ core configmaps : extension-apiserver-authentication",
    ("kube-system", "system::leader-locking-kube-controller-manager"):
        "create,READ,CHANGE coordination.k8s.io leases leasecandidates",
    ("kube-system", "system::leader-locking-kube-scheduler"):
        "create,READ,CHANGE coordination.k8s.io leases leasecandidates",
    ("kube-system", "system:cluster-dns"): "create,delete,READ,CHANGE discovery.k8s.io endpointslices",
}
"""Roles by namespace and name."""

MANAGER, SCHEDULER, PROXY, DNS, NODES = (
    "User system:kube-controller-manager", "User system:kube-scheduler", "User system:kube-proxy",
    "User system:cluster-dns", "Group system:nodes")

BINDINGS: dict[str, tuple[str, ...]] = {
    "cluster-admin": ("Group system:masters",),
    "system:monitoring": ("Group system:monitoring",),
    "system:discovery": ("Group system:authenticated",),
    "system:basic-user": ("Group system:authenticated",),
    "system:public-info-viewer": ("Group system:authenticated", "Group system:unauthenticated"),
    "system:service-account-issuer-discovery": ("Group system:serviceaccounts",),
    "system:node-proxier": (PROXY, NODES),
    "system:kube-controller-manager": (MANAGER,),
    "system:kube-scheduler": (SCHEDULER,),
    "system:volume-scheduler": (SCHEDULER,),
    "system:kubelet-api-admin": ("User kube-apiserver-kubelet-client",),
    "system:cluster-dns": (DNS, NODES),
    "system:kube-dns": ("ServiceAccount kube-dns",),
    "system:node": (),
}
"""ClusterRoleBindings: each binds the ClusterRole of its own name. Service accounts are those of kube-system.

`system:node` has no subjects: nodes get their rights from the Node authoriser, which looks at each object. Each node
runs its own proxy and DNS with its own identity, so nodes have the rights of those; which EndpointSlices a node may
write is for the NodeRestriction plugin to say.
"""

NAMESPACE_BINDINGS: dict[tuple[str, str], tuple[str, ...]] = {
    ("kube-system", "system::extension-apiserver-authentication-reader"): (MANAGER, SCHEDULER),
    ("kube-system", "system::leader-locking-kube-controller-manager"):
        (MANAGER, "ServiceAccount kube-controller-manager"),
    ("kube-system", "system::leader-locking-kube-scheduler"): (SCHEDULER, "ServiceAccount kube-scheduler"),
    ("kube-system", "system:cluster-dns"): (DNS, NODES),
}
"""RoleBindings by namespace and name; each binds the Role of its name, but for the one that `ROLE_OF` knows."""

ROLE_OF = {"system::extension-apiserver-authentication-reader": "extension-apiserver-authentication-reader"}

API_GROUP = "rbac.authorization.k8s.io"


def objects() -> Iterator[Object]:
    """All default roles and bindings, roles first; aggregated roles already have their rules."""
    for name, text in ROLES.items():
        yield cluster_role(name, rules(text))
    for name, target in AGGREGATED.items():
        gathered = [rule for source in sources(target) for rule in rules(ROLES[source])]
        yield cluster_role(name, gathered) | {"aggregationRule": {"clusterRoleSelectors": [
            {"matchLabels": {aggregation_label(target): "true"}}]}}
    for name, text in CONTROLLERS.items():
        yield cluster_role(f"system:controller:{name}", rules(text))
    for (namespace, name), text in NAMESPACE_ROLES.items():
        yield shell("Role", name, namespace) | {"rules": rules(text)}
    for name, subjects in BINDINGS.items():
        yield binding("ClusterRoleBinding", name, "", "ClusterRole", name, subjects)
    for name in CONTROLLERS:
        role = f"system:controller:{name}"
        yield binding("ClusterRoleBinding", role, "", "ClusterRole", role, (f"ServiceAccount {name}", MANAGER))
    for (namespace, name), subjects in NAMESPACE_BINDINGS.items():
        yield binding("RoleBinding", name, namespace, "Role", ROLE_OF.get(name, name), subjects)


def sources(target: str) -> list[str]:
    """The plain roles that end up in an aggregated one, directly or through another, as `auth.aggregation` has them."""
    direct = sorted(name for name, to in AGGREGATES_TO.items() if to == target)
    return [plain for name in direct for plain in (sources(AGGREGATED[name]) if name in AGGREGATED else [name])]


def aggregation_label(target: str) -> str:
    return f"{API_GROUP}/aggregate-to-{target}"


def cluster_role(name: str, policy_rules: list[Object]) -> Object:
    return shell("ClusterRole", name) | {"rules": policy_rules}


def binding(kind: str, name: str, namespace: str, role_kind: str, role: str, subjects: tuple[str, ...]) -> Object:
    made = shell(kind, name, namespace) | {"roleRef": {"apiGroup": API_GROUP, "kind": role_kind, "name": role}}
    return made | ({"subjects": [subject(text) for text in subjects]} if subjects else {})


def subject(text: str) -> Object:
    kind, _, name = text.partition(" ")
    if kind == "ServiceAccount":
        return {"kind": kind, "name": name, "namespace": "kube-system"}
    return {"apiGroup": API_GROUP, "kind": kind, "name": name}


def shell(kind: str, name: str, namespace: str = "") -> Object:
    """An object of this group with the marks of a default one."""
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    if kind == "ClusterRole" and name in AGGREGATES_TO:
        labels[aggregation_label(AGGREGATES_TO[name])] = "true"
    metadata: dict[str, Any] = {"name": name, **({"namespace": namespace} if namespace else {}),
                                "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
                                "labels": labels}
    return {"apiVersion": f"{API_GROUP}/v1", "kind": kind, "metadata": metadata}
