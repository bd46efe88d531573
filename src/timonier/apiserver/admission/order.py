"""The table of all plugins, in Kubernetes's order, and the chain that the server's settings make of it.

Source: Kubernetes documentation, "Admission Control in Kubernetes"; kubernetes/pkg/kubeapiserver/options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from timonier.api.kinds import Kind
from timonier.apiserver.admission import event_rate_limit, image_policy, node_selector, pod_security, quota_limits
from timonier.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    ClusterTrustBundleAttest,
)
from timonier.apiserver.admission.configuration import Document, read
from timonier.apiserver.admission.contract import Plugin
from timonier.apiserver.admission.defaults import DefaultIngressClass, DefaultStorageClass
from timonier.apiserver.admission.escalation import EscalationCheck
from timonier.apiserver.admission.images import AlwaysPullImages
from timonier.apiserver.admission.limit_ranger import LimitRanger
from timonier.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from timonier.apiserver.admission.node_restriction import NodeRestriction
from timonier.apiserver.admission.node_selector import PodNodeSelector, PodTolerationRestriction
from timonier.apiserver.admission.optional import (
    AlwaysAdmit,
    AlwaysDeny,
    DenyServiceExternalIPs,
    ExtendedResourceToleration,
    LimitPodHardAntiAffinityTopology,
    NamespaceAutoProvision,
    NamespaceExists,
)
from timonier.apiserver.admission.owner_references import OwnerReferencesPermissionEnforcement
from timonier.apiserver.admission.plugins import Chain
from timonier.apiserver.admission.pod_security import PodSecurity
from timonier.apiserver.admission.policies.counts import Counts as PolicyCounts
from timonier.apiserver.admission.policies.plugins import MutatingPolicies, ValidatingPolicies
from timonier.apiserver.admission.priority import Priority
from timonier.apiserver.admission.resizing import NodeDeclaredFeatureValidator, PodResizeValidator
from timonier.apiserver.admission.resource_quota import ResourceQuota
from timonier.apiserver.admission.runtime_class import RuntimeClass
from timonier.apiserver.admission.service_account import ServiceAccount
from timonier.apiserver.admission.storage import PersistentVolumeClaimResize, StorageObjectInUseProtection
from timonier.apiserver.admission.tolerations import DefaultTolerationSeconds, TaintNodesByCondition
from timonier.apiserver.admission.topology import PodTopologyLabels
from timonier.apiserver.admission.webhooks.calling import Webhooks
from timonier.apiserver.admission.webhooks.configured import MUTATING, VALIDATING, Configured
from timonier.apiserver.admission.webhooks.counts import Counts
from timonier.apiserver.admission.webhooks.mutating import MutatingWebhooks
from timonier.apiserver.admission.webhooks.validating import ValidatingWebhooks
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.hooks import hooks_of
from timonier.apiserver.registry import Registry
from timonier.apiserver.resources import Resources
from timonier.kit.clock import Clock
from timonier.kit.fatal import CannotRun

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

RBAC = "RBAC"
"""Not a plugin of Kubernetes, whose storage makes this check; it cannot be disabled."""


@dataclass(frozen=True)
class Parts:
    """What plugins are made of."""

    server: ApiServer
    documents: Mapping[str, Document] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    policy_counts: PolicyCounts = field(default_factory=PolicyCounts)

    def webhooks(self, kind: Kind) -> Webhooks:
        server, registry = self.server, self.server.registry
        return Webhooks(registry, Configured(registry, kind), hooks_of(server), registry.resources, server.authoriser,
                        server.clock, self.counts)

    @property
    def policies(self) -> tuple[Registry, Resources, Authoriser, Clock, PolicyCounts]:
        registry = self.server.registry
        return registry, registry.resources, self.server.authoriser, self.server.clock, self.policy_counts

    @cached_property
    def pod_security(self) -> PodSecurity:
        return PodSecurity(self.server.registry, *pod_security.configured(self.document("PodSecurity")))

    def image_policy(self) -> image_policy.ImagePolicyWebhook:
        made = image_policy.ImagePolicyWebhook.of(image_policy.configured(self.document("ImagePolicyWebhook")),
                                                  self.server.clock)
        self.server.access.calls.append(made.webhook.connections)
        return made

    def document(self, name: str) -> Document:
        """What the administrator tells a plugin; it may be nothing."""
        return self.documents.get(name, Document())


@dataclass(frozen=True)
class Row:
    """A plugin by its name; `make` is None for one that is not built yet, `on` is whether it runs unless disabled."""

    name: str
    make: Callable[[Parts], Plugin] | None = None
    on: bool = False


def on(name: str, make: Callable[[Parts], Plugin]) -> Row:
    return Row(name, make, on=True)


ORDER = (
    Row("AlwaysAdmit", lambda parts: AlwaysAdmit()),
    Row("NamespaceAutoProvision", lambda parts: NamespaceAutoProvision(parts.server.registry)),
    on("NamespaceLifecycle", lambda parts: NamespaceLifecycle(parts.server.registry)),
    Row("NamespaceExists", lambda parts: NamespaceExists(parts.server.registry)),
    Row("LimitPodHardAntiAffinityTopology", lambda parts: LimitPodHardAntiAffinityTopology()),
    on("LimitRanger", lambda parts: LimitRanger(parts.server.registry)),
    on("ServiceAccount", lambda parts: ServiceAccount(parts.server.registry)),
    on("NodeRestriction", lambda parts: NodeRestriction(parts.server.registry, parts.server.authoriser)),
    on("TaintNodesByCondition", lambda parts: TaintNodesByCondition()),
    Row("AlwaysPullImages", lambda parts: AlwaysPullImages()),
    Row("ImagePolicyWebhook", lambda parts: parts.image_policy()),
    on("PodSecurity", lambda parts: parts.pod_security),
    Row("PodNodeSelector", lambda parts: PodNodeSelector(
        parts.server.registry, node_selector.selectors(parts.document("PodNodeSelector")))),
    on("Priority", lambda parts: Priority(parts.server.registry)),
    on("DefaultTolerationSeconds", lambda parts: DefaultTolerationSeconds()),
    Row("PodTolerationRestriction", lambda parts: PodTolerationRestriction(
        parts.server.registry, node_selector.tolerations(parts.document("PodTolerationRestriction")))),
    Row("EventRateLimit", lambda parts: event_rate_limit.EventRateLimit(
        event_rate_limit.configured(parts.document("EventRateLimit")), parts.server.clock)),
    Row("ExtendedResourceToleration", lambda parts: ExtendedResourceToleration()),
    on("DefaultStorageClass", lambda parts: DefaultStorageClass(parts.server.registry)),
    on("StorageObjectInUseProtection", lambda parts: StorageObjectInUseProtection()),
    Row("PodGroupProtection"),
    Row("OwnerReferencesPermissionEnforcement", lambda parts: OwnerReferencesPermissionEnforcement(
        parts.server.authoriser, parts.server.registry.resources)),
    on("PersistentVolumeClaimResize", lambda parts: PersistentVolumeClaimResize(parts.server.registry)),
    on("RuntimeClass", lambda parts: RuntimeClass(parts.server.registry)),
    on("CertificateApproval", lambda parts: CertificateApproval(parts.server.authoriser)),
    on("CertificateSigning", lambda parts: CertificateSigning(parts.server.authoriser)),
    on("ClusterTrustBundleAttest", lambda parts: ClusterTrustBundleAttest(parts.server.authoriser)),
    on("CertificateSubjectRestriction", lambda parts: CertificateSubjectRestriction()),
    on("DefaultIngressClass", lambda parts: DefaultIngressClass(parts.server.registry)),
    Row("DenyServiceExternalIPs", lambda parts: DenyServiceExternalIPs()),
    on("PodTopologyLabels", lambda parts: PodTopologyLabels(parts.server.registry)),
    Row("PodGroupWorkloadExists"),
    on("NodeDeclaredFeatureValidator", lambda parts: NodeDeclaredFeatureValidator(parts.server.registry)),
    Row("JobValidation"),
    on("PodResizeValidator", lambda parts: PodResizeValidator(parts.server.registry)),
    on("MutatingAdmissionPolicy", lambda parts: MutatingPolicies(*parts.policies)),
    on("MutatingAdmissionWebhook", lambda parts: MutatingWebhooks(parts.webhooks(MUTATING))),
    on("ValidatingAdmissionPolicy", lambda parts: ValidatingPolicies(*parts.policies)),
    on("ValidatingAdmissionWebhook", lambda parts: ValidatingWebhooks(parts.webhooks(VALIDATING))),
    on(RBAC, lambda parts: EscalationCheck(parts.server.authoriser)),
    on("ResourceQuota", lambda parts: ResourceQuota(
        parts.server.registry, parts.server.clock, quota_limits.configured(parts.document("ResourceQuota")))),
    Row("AlwaysDeny", lambda parts: AlwaysDeny()),
)
"""All plugins of Kubernetes v1.37, and one of ours. NodeRestriction runs unless disabled: not so in Kubernetes itself,
but in everything that installs it."""
CONFIGURABLE = frozenset({"EventRateLimit", "ImagePolicyWebhook", "PodNodeSelector", "PodSecurity",
                          "PodTolerationRestriction", "ResourceQuota"})
"""Plugins that the administrator can tell something in a file."""
BY_NAME = {row.name: row for row in ORDER}


def chain(server: ApiServer) -> Chain:
    """The plugins that the settings ask for. Raises CannotRun for one that does not exist or is not built."""
    settings = server.settings
    wanted = chosen(names(settings.enable_admission_plugins), names(settings.disable_admission_plugins))
    parts = Parts(server, read(settings.admission_control_config_file, CONFIGURABLE))
    made = Chain([row.make(parts) for row in wanted if row.make is not None], server.clock.monotonic)
    server.metrics.sources += [made.families, parts.counts.families, parts.policy_counts.families,
                               parts.pod_security.counts.families]
    return made


def names(given: Iterable[str]) -> list[str]:
    """Names from settings, which may have several each, separated by commas."""
    return [name.strip() for text in given for name in text.split(",") if name.strip()]


def chosen(enabled: Iterable[str], disabled: Iterable[str]) -> list[Row]:
    """The rows that run. What is enabled and disabled runs, as in Kubernetes."""
    enabled, disabled = set(enabled), set(disabled)
    for flag, given in (("enable", enabled), ("disable", disabled)):
        for name in sorted(given):
            if name not in BY_NAME or name == RBAC:
                raise CannotRun(f'--{flag}-admission-plugins plugin "{name}" is unknown')
    for name in sorted(enabled):
        if BY_NAME[name].make is None:
            raise CannotRun(f"--enable-admission-plugins: {name} is not built into this server")
    return [row for row in ORDER if row.name in enabled or (row.on and row.name not in disabled)]
