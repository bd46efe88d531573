"""The table of kinds: routes, discovery, OpenAPI, RBAC names and storage keys all derive from these rows.

A row says what a kind is called and what can be done with it. How it is defaulted and checked stands in
`api.defaults` and `api.validation`, what `kubectl get` shows in `apiserver.tables`, each keyed by `Kind.id`.
Source: the API reference of Kubernetes v1.37: all versions that it serves by default, and some that it served once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from timonier.api.shapes import Shape
    from timonier.api.structural.shape import Custom

STANDARD_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CREATE_ONLY = ("create",)
READ_ONLY = ("get", "list")


@dataclass(frozen=True)
class Subresource:
    """A path below an object. `kind` is what it takes and gives where that is not the parent kind."""

    name: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Kind:
    """One kind in one version. `plural` names it in paths and RBAC.

    `storage` is the apiVersion in which its objects are stored: kinds that are views of one another share it.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = STANDARD_VERBS
    subresources: tuple[Subresource, ...] = ()
    definition: str = ""
    storage: str = ""
    deprecated: str = ""
    """What users of the kind are warned with."""
    generation: bool = False
    """Whether `metadata.generation` counts the changes of what is wanted."""
    judged: bool = False
    """Of a view: whether what is written through it is held to rules of its own."""
    singular_name: str = ""
    """Where it is not just the kind in lower case."""
    lists: str = ""
    """The kind of its lists, where it is not the kind followed by `List`."""
    served: bool = True
    """False for a version in which objects are stored and not shown."""
    closing: bool = False
    """Whether it is about to go: what is there can be read and deleted, nothing is made."""
    custom: Custom | None = None
    """The shape of a kind that is not built in; it takes the place of `definition`."""

    @cached_property
    def shape(self) -> Shape:
        """What its objects must be like."""
        if self.custom is not None:
            return self.custom
        from timonier.api.shapes import BuiltIn

        return BuiltIn(self)

    @cached_property
    def apiVersion(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def singular(self) -> str:
        return self.singular_name or self.kind.lower()

    @cached_property
    def resource(self) -> str:
        """`deployments.apps`, `pods`: the kind's name in messages and storage keys."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def id(self) -> str:
        """`apps/v1/Deployment`, `v1/Pod`: the key of tables about kinds."""
        return f"{self.apiVersion}/{self.kind}"

    @cached_property
    def stored_id(self) -> str:
        """The id of the kind as which its objects are stored."""
        return f"{self.storage}/{self.kind}"

    @cached_property
    def list_kind(self) -> str:
        return self.lists or f"{self.kind}List"

    @cached_property
    def list_definition(self) -> str:
        """The definition of its lists."""
        return f"{self.definition.rpartition('.')[0]}.{self.list_kind}"

    @cached_property
    def prefix(self) -> str:
        """Where its objects lie in the store: `/deployments.apps/`."""
        group = self.storage.rpartition("/")[0]
        return f"/{self.plural}.{group}/" if group else f"/{self.plural}/"

    def key(self, namespace: str, name: str) -> str:
        """The storage key of an object: `/pods/default/web`, `/nodes/n1`.

        Names that are not plain ASCII, which few kinds may have, are written as in a URL.
        """
        if "%" in name or not (name.isascii() and name.isprintable()):
            name = quote(name, safe="")
        return f"{self.prefix}{namespace}/{name}" if self.namespaced else f"{self.prefix}{name}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, of an object, or of its subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return root + within + "".join(f"/{part}" for part in (self.plural, name, subresource) if part)

    def subresource(self, name: str) -> Subresource | None:
        return self.doors.get(name)

    @cached_property
    def doors(self) -> dict[str, Subresource]:
        """Its subresources by name."""
        return {sub.name: sub for sub in self.subresources}


STATUS = Subresource("status", ("get", "patch", "update"))
SCALE = Subresource("scale", ("get", "patch", "update"), "autoscaling", "v1", "Scale")
PROXY_VERBS = ("create", "delete", "get", "patch", "update")
POD_SUBRESOURCES = (
    Subresource("attach", ("create", "get"), "", "v1", "PodAttachOptions"),
    Subresource("binding", ("create",), "", "v1", "Binding"),
    Subresource("ephemeralcontainers", ("get", "patch", "update")),
    Subresource("eviction", ("create",), "policy", "v1", "Eviction"),
    Subresource("exec", ("create", "get"), "", "v1", "PodExecOptions"),
    Subresource("log", ("get",)),
    Subresource("portforward", ("create", "get"), "", "v1", "PodPortForwardOptions"),
    Subresource("proxy", PROXY_VERBS, "", "v1", "PodProxyOptions"),
    Subresource("resize", ("get", "patch", "update")),
    STATUS,
)


PACKAGES = {
    "apiextensions.k8s.io": "apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "kube-aggregator.pkg.apis.apiregistration",
    "flowcontrol.apiserver.k8s.io": "api.flowcontrol",
    "rbac.authorization.k8s.io": "api.rbac",
}
"""Where the schema keeps the definitions of groups whose package is not simply the group's first label."""


def kind(apiVersion: str, name: str, plural: str, *, namespaced: bool = True, short: str = "", categories: str = "",
         verbs: tuple[str, ...] = STANDARD_VERBS, subresources: tuple[Subresource, ...] = (),
         storage: str = "", deprecated: str = "", judged: bool = False,
         generation: bool = False) -> Kind:
    """A row of the table; `short` and `categories` are separated by blanks, `storage` is the stored apiVersion."""
    group, _, version = apiVersion.rpartition("/")
    package = PACKAGES.get(group, f"api.{group.split('.')[0] or 'core'}")
    return Kind(group, version, name, plural, namespaced=namespaced, short=tuple(short.split()),
                categories=tuple(categories.split()), verbs=verbs, subresources=subresources,
                definition=f"io.k8s.{package}.{version}.{name}", storage=storage or apiVersion,
                deprecated=deprecated, judged=judged, generation=generation)


def gone(what: str, since: str, without: str, now: str) -> str:
    """The warning about a version that Kubernetes itself serves no longer, in its words."""
    return f"{what} is deprecated in {since}, unavailable in {without}; use {now}"


CORE = [
    kind("v1", "Binding", "bindings", verbs=CREATE_ONLY),
    kind("v1", "ComponentStatus", "componentstatuses", namespaced=False, short="cs", verbs=READ_ONLY,
         deprecated="v1 ComponentStatus is deprecated in v1.19+"),
    kind("v1", "ConfigMap", "configmaps", short="cm"),
    kind("v1", "Endpoints", "endpoints", short="ep",
         deprecated="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
    kind("v1", "Event", "events", short="ev"),
    kind("v1", "LimitRange", "limitranges", short="limits"),
    kind("v1", "Namespace", "namespaces", namespaced=False, short="ns",
         verbs=tuple(verb for verb in STANDARD_VERBS if verb != "deletecollection"),
         subresources=(Subresource("finalize", ("update",)), STATUS)),
    kind("v1", "Node", "nodes", namespaced=False, short="no",
         subresources=(Subresource("proxy", PROXY_VERBS, "", "v1", "NodeProxyOptions"), STATUS)),
    kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", short="pvc", subresources=(STATUS,)),
    kind("v1", "PersistentVolume", "persistentvolumes", namespaced=False, short="pv", subresources=(STATUS,)),
    kind("v1", "Pod", "pods", short="po", categories="all", subresources=POD_SUBRESOURCES, generation=True),
    kind("v1", "PodTemplate", "podtemplates", generation=True),
    kind("v1", "ReplicationController", "replicationcontrollers", short="rc", categories="all",
         subresources=(SCALE, STATUS), generation=True),
    kind("v1", "ResourceQuota", "resourcequotas", short="quota", subresources=(STATUS,)),
    kind("v1", "Secret", "secrets"),
    kind("v1", "ServiceAccount", "serviceaccounts", short="sa",
         subresources=(Subresource("token", ("create",), "authentication.k8s.io", "v1", "TokenRequest"),)),
    kind("v1", "Service", "services", short="svc", categories="all",
         subresources=(Subresource("proxy", PROXY_VERBS, "", "v1", "ServiceProxyOptions"), STATUS)),
]

WORKLOADS = [
    kind("apps/v1", "ControllerRevision", "controllerrevisions"),
    kind("apps/v1", "DaemonSet", "daemonsets", short="ds", categories="all", subresources=(STATUS,), generation=True),
    kind("apps/v1", "Deployment", "deployments", short="deploy", categories="all", subresources=(SCALE, STATUS),
         generation=True),
    kind("apps/v1", "ReplicaSet", "replicasets", short="rs", categories="all", subresources=(SCALE, STATUS),
         generation=True),
    kind("apps/v1", "StatefulSet", "statefulsets", short="sts", categories="all", subresources=(SCALE, STATUS),
         generation=True),
    kind("autoscaling/v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", short="hpa", categories="all",
         subresources=(STATUS,), storage="autoscaling/v2"),
    kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", short="hpa", categories="all",
         subresources=(STATUS,)),
    kind("batch/v1", "CronJob", "cronjobs", short="cj", categories="all", subresources=(STATUS,), generation=True),
    kind("batch/v1", "Job", "jobs", categories="all", subresources=(STATUS,), generation=True),
    kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", short="pdb", subresources=(STATUS,),
         generation=True),
    kind("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", namespaced=False, short="pc", generation=True),
]

NETWORK = [
    kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", generation=True),
    kind("networking.k8s.io/v1", "Ingress", "ingresses", short="ing", subresources=(STATUS,), generation=True),
    kind("networking.k8s.io/v1", "IngressClass", "ingressclasses", namespaced=False, generation=True),
    kind("networking.k8s.io/v1", "IPAddress", "ipaddresses", namespaced=False, short="ip"),
    kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", short="netpol", generation=True),
    kind("networking.k8s.io/v1", "ServiceCIDR", "servicecidrs", namespaced=False, subresources=(STATUS,)),
]

STORAGE = [
    kind("storage.k8s.io/v1", "CSIDriver", "csidrivers", namespaced=False),
    kind("storage.k8s.io/v1", "CSINode", "csinodes", namespaced=False),
    kind("storage.k8s.io/v1", "CSIStorageCapacity", "csistoragecapacities"),
    kind("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False, short="sc"),
    kind("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", namespaced=False, subresources=(STATUS,)),
    kind("storage.k8s.io/v1", "VolumeAttributesClass", "volumeattributesclasses", namespaced=False, short="vac"),
]

DEVICES = [
    kind("resource.k8s.io/v1", "DeviceClass", "deviceclasses", namespaced=False, generation=True),
    kind("resource.k8s.io/v1", "DeviceTaintRule", "devicetaintrules", namespaced=False, subresources=(STATUS,),
         generation=True),
    kind("resource.k8s.io/v1", "ResourceClaim", "resourceclaims", subresources=(STATUS,)),
    kind("resource.k8s.io/v1", "ResourceClaimTemplate", "resourceclaimtemplates"),
    kind("resource.k8s.io/v1", "ResourceSlice", "resourceslices", namespaced=False, generation=True),
]

ACCESS = [
    kind("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", namespaced=False, verbs=CREATE_ONLY),
    kind("authentication.k8s.io/v1", "TokenReview", "tokenreviews", namespaced=False, verbs=CREATE_ONLY),
    kind("authorization.k8s.io/v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", verbs=CREATE_ONLY),
    kind("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False,
         verbs=CREATE_ONLY),
    kind("authorization.k8s.io/v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", namespaced=False,
         verbs=CREATE_ONLY),
    kind("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False,
         verbs=CREATE_ONLY),
    kind("certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", namespaced=False,
         short="csr", subresources=(Subresource("approval", ("get", "patch", "update")), STATUS)),
    kind("certificates.k8s.io/v1", "ClusterTrustBundle", "clustertrustbundles", namespaced=False),
    kind("certificates.k8s.io/v1", "PodCertificateRequest", "podcertificaterequests", subresources=(STATUS,)),
    kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False),
    kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    kind("rbac.authorization.k8s.io/v1", "Role", "roles"),
    kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
]

CLUSTER = [
    kind("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies", namespaced=False,
         categories="api-extensions", generation=True),
    kind("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings",
         namespaced=False, categories="api-extensions", generation=True),
    kind("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations",
         namespaced=False, categories="api-extensions", generation=True),
    kind("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies",
         namespaced=False, categories="api-extensions", subresources=(STATUS,), generation=True),
    kind("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings",
         namespaced=False, categories="api-extensions", generation=True),
    kind("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations",
         namespaced=False, categories="api-extensions", generation=True),
    kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False,
         short="crd crds", categories="api-extensions", subresources=(STATUS,), generation=True),
    kind("apiregistration.k8s.io/v1", "APIService", "apiservices", namespaced=False, categories="api-extensions",
         subresources=(STATUS,)),
    kind("coordination.k8s.io/v1", "Lease", "leases"),
    kind("events.k8s.io/v1", "Event", "events", short="ev", storage="v1", judged=True),
    kind("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", "flowschemas", namespaced=False, subresources=(STATUS,),
         generation=True),
    kind("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration", "prioritylevelconfigurations",
         namespaced=False, subresources=(STATUS,), generation=True),
    kind("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", namespaced=False),
    kind("storagemigration.k8s.io/v1", "StorageVersionMigration", "storageversionmigrations", namespaced=False,
         short="svm", subresources=(STATUS,)),
]

FORMER = [
    kind("extensions/v1beta1", "Deployment", "deployments", subresources=(SCALE, STATUS), storage="apps/v1",
         deprecated=gone("extensions/v1beta1 Deployment", "v1.9+", "v1.16+", "apps/v1 Deployment")),
    kind("extensions/v1beta1", "Ingress", "ingresses", subresources=(STATUS,), storage="networking.k8s.io/v1",
         deprecated=gone("extensions/v1beta1 Ingress", "v1.14+", "v1.22+", "networking.k8s.io/v1 Ingress")),
    kind("apps/v1beta1", "Deployment", "deployments", subresources=(SCALE, STATUS), storage="apps/v1",
         deprecated=gone("apps/v1beta1 Deployment", "v1.8+", "v1.16+", "apps/v1 Deployment")),
    kind("apps/v1beta1", "StatefulSet", "statefulsets", subresources=(SCALE, STATUS), storage="apps/v1",
         deprecated=gone("apps/v1beta1 StatefulSet", "v1.8+", "v1.16+", "apps/v1 StatefulSet")),
]
"""Versions of former days, for manifests of former days: views of what became of them, never preferred."""

KINDS: tuple[Kind, ...] = (*CORE, *WORKLOADS, *NETWORK, *STORAGE, *DEVICES, *ACCESS, *CLUSTER, *FORMER)
"""Every built-in kind that is served."""

BY_ID = {row.id: row for row in KINDS}
BY_PATH = {(row.group, row.version, row.plural): row for row in KINDS}


def find(apiVersion: str, name: str) -> Kind | None:
    """The row of an object's `apiVersion` and `kind`, where it is built in."""
    return BY_ID.get(f"{apiVersion}/{name}")
