"""Kinds that differ from the rule in a line or two, and the table of all strategies."""

from __future__ import annotations

import base64
from typing import Any

from timonier.api.kinds import Kind
from timonier.api.managed.fields import FieldSet
from timonier.apiserver.request import User
from timonier.apiserver.strategies.base import (
    CreateOnUpdate,
    NoUnconditionalUpdate,
    StatusAlone,
    Strategy,
    keep,
)
from timonier.apiserver.strategies.custom import DefinitionStrategy
from timonier.apiserver.strategies.job import JobStrategy
from timonier.apiserver.strategies.pod import PodStrategy

Object = dict[str, Any]

NAME_LABEL = "kubernetes.io/metadata.name"


class NamespaceStrategy(Strategy):
    """A namespace is Active from the start, carries its name as a label, and waits for its contents when deleted."""

    def prepare_create(self, kind: Kind, obj: Object, user: User) -> None:
        obj["status"] = {"phase": "Active"}
        spec = obj["spec"] = dict(obj.get("spec") or {})
        spec["finalizers"] = list(dict.fromkeys([*(spec.get("finalizers") or ()), "kubernetes"]))
        label(obj)

    def prepare_update(self, kind: Kind, obj: Object, old: Object) -> None:
        keep(obj, old, "status", "spec")
        label(obj)


def label(obj: Object) -> None:
    metadata = obj["metadata"]
    if name := metadata.get("name"):
        metadata["labels"] = (metadata.get("labels") or {}) | {NAME_LABEL: name}


class NodeStrategy(Strategy):
    """A kubelet registers its node with the status that it knows."""

    keeps_status_on_create = True


class SecretStrategy(Strategy):
    """`stringData` is how people write; `data` is what is stored."""

    def prepare_create(self, kind: Kind, obj: Object, user: User) -> None:
        encode_strings(obj)

    def prepare_update(self, kind: Kind, obj: Object, old: Object) -> None:
        encode_strings(obj)


def encode_strings(obj: Object) -> None:
    strings = obj.pop("stringData", None)
    if strings:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in strings.items()}
        obj["data"] = (obj.get("data") or {}) | encoded


class ReplicatedStrategy(Strategy):
    """Sets of pods: their status says at least how many there are."""

    def prepare_create(self, kind: Kind, obj: Object, user: User) -> None:
        obj["status"] = {"replicas": 0}


class DeploymentStrategy(Strategy):
    """The labels of a Deployment are its user's alone."""

    def prepare_status(self, kind: Kind, obj: Object, old: Object) -> None:
        super().prepare_status(kind, obj, old)
        keep(obj["metadata"], old["metadata"], "labels")

    def resets(self, kind: Kind, subresource: str) -> FieldSet:
        return super().resets(kind, subresource) | (
            {"f:metadata": {"f:labels": {}}} if subresource == "status" else {})


class ClaimStrategy(Strategy):
    """Claims wait to be bound. What they are filled with has two names, of which either stands for both."""

    def prepare_create(self, kind: Kind, obj: Object, user: User) -> None:
        obj["status"] = {"phase": "Pending"}
        name_both(obj.get("spec") or {})

    def prepare_update(self, kind: Kind, obj: Object, old: Object) -> None:
        super().prepare_update(kind, obj, old)
        name_both(obj.get("spec") or {})


def name_both(spec: Object) -> None:
    """Sources of other namespaces are of an alpha feature, and dropped."""
    if (spec.get("dataSourceRef") or {}).get("namespace"):
        del spec["dataSourceRef"]
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source and not reference:
        spec["dataSourceRef"] = dict(source)
    elif reference and not source:
        spec["dataSource"] = dict(reference)


class AcceptedLater(StatusAlone):
    """What somebody else carries out, and says of it how far it is, at the version that he knows."""

    unconditional_update = False


STRATEGIES: dict[str, type[Strategy]] = {
    "v1/Namespace": NamespaceStrategy,
    "v1/Node": NodeStrategy,
    "v1/Pod": PodStrategy,
    "v1/Secret": SecretStrategy,
    "v1/ReplicationController": ReplicatedStrategy,
    "v1/PersistentVolumeClaim": ClaimStrategy,
    "v1/ServiceAccount": NoUnconditionalUpdate,
    "v1/Endpoints": CreateOnUpdate,
    "v1/Event": CreateOnUpdate,
    "v1/LimitRange": CreateOnUpdate,
    "events.k8s.io/v1/Event": CreateOnUpdate,
    "apps/v1/Deployment": DeploymentStrategy,
    "apps/v1/ReplicaSet": ReplicatedStrategy,
    "apps/v1/StatefulSet": ReplicatedStrategy,
    "batch/v1/Job": JobStrategy,
    "coordination.k8s.io/v1/Lease": type("LeaseStrategy", (CreateOnUpdate, NoUnconditionalUpdate), {}),
    "policy/v1/PodDisruptionBudget": NoUnconditionalUpdate,
    "certificates.k8s.io/v1/ClusterTrustBundle": NoUnconditionalUpdate,
    "certificates.k8s.io/v1/PodCertificateRequest": AcceptedLater,
    "apiextensions.k8s.io/v1/CustomResourceDefinition": DefinitionStrategy,
    "apiregistration.k8s.io/v1/APIService": AcceptedLater,
    "rbac.authorization.k8s.io/v1/Role": CreateOnUpdate,
    "rbac.authorization.k8s.io/v1/RoleBinding": CreateOnUpdate,
    "rbac.authorization.k8s.io/v1/ClusterRole": CreateOnUpdate,
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": CreateOnUpdate,
    "node.k8s.io/v1/RuntimeClass": NoUnconditionalUpdate,
    "storage.k8s.io/v1/CSIDriver": NoUnconditionalUpdate,
    "storage.k8s.io/v1/CSINode": NoUnconditionalUpdate,
    "storage.k8s.io/v1/CSIStorageCapacity": NoUnconditionalUpdate,
    "storage.k8s.io/v1/VolumeAttachment": AcceptedLater,
    "storagemigration.k8s.io/v1/StorageVersionMigration": AcceptedLater,
    **dict.fromkeys((f"admissionregistration.k8s.io/v1/{kind}" for kind in (
        "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration")), NoUnconditionalUpdate),
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy": AcceptedLater,
    "flowcontrol.apiserver.k8s.io/v1/FlowSchema": StatusAlone,
    "flowcontrol.apiserver.k8s.io/v1/PriorityLevelConfiguration": StatusAlone,
    "resource.k8s.io/v1/ResourceClaim": StatusAlone,
}
"""By kind; every other kind follows the rule. Those that need more than the object are added by the server: Services,
which hold allocations, and those that tell the time."""
