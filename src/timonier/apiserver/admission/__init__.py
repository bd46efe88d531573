"""Admission: what is changed in a request, and refused, between authorisation and the store.

One plugin a file, all of them the built-in ones of Kubernetes; the list below is in its order. Not here yet:
PodSecurity, DefaultStorageClass, DefaultIngressClass, StorageObjectInUseProtection,
OwnerReferencesPermissionEnforcement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from timonier.api.kinds import Kind
from timonier.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    ClusterTrustBundleAttest,
)
from timonier.apiserver.admission.escalation import EscalationCheck
from timonier.apiserver.admission.limit_ranger import LimitRanger
from timonier.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from timonier.apiserver.admission.node_restriction import NodeRestriction
from timonier.apiserver.admission.plugins import Chain
from timonier.apiserver.admission.policies.plugins import MutatingPolicies, ValidatingPolicies
from timonier.apiserver.admission.priority import Priority
from timonier.apiserver.admission.resource_quota import ResourceQuota
from timonier.apiserver.admission.runtime_class import RuntimeClass
from timonier.apiserver.admission.service_account import ServiceAccount
from timonier.apiserver.admission.tolerations import DefaultTolerationSeconds, TaintNodesByCondition
from timonier.apiserver.admission.webhooks.calling import Webhooks
from timonier.apiserver.admission.webhooks.configured import MUTATING, VALIDATING, Configured
from timonier.apiserver.admission.webhooks.counts import Counts
from timonier.apiserver.admission.webhooks.mutating import MutatingWebhooks
from timonier.apiserver.admission.webhooks.validating import ValidatingWebhooks
from timonier.apiserver.hooks import hooks_of

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer


def chain(server: ApiServer) -> Chain:
    """Every plugin, in the order in which requests pass them."""
    registry, hooks = server.registry, hooks_of(server)
    counts = Counts()
    server.metrics.sources.append(counts.families)

    def webhooks(kind: Kind) -> Webhooks:
        return Webhooks(registry, Configured(registry, kind), hooks, registry.resources, server.clock, counts)

    authoriser = server.authoriser
    policies = (registry, registry.resources, authoriser)
    return Chain((NamespaceLifecycle(registry), LimitRanger(registry), ServiceAccount(registry),
                  NodeRestriction(registry, authoriser), TaintNodesByCondition(), Priority(registry),
                  DefaultTolerationSeconds(), RuntimeClass(registry), CertificateApproval(authoriser),
                  CertificateSigning(authoriser), ClusterTrustBundleAttest(authoriser), CertificateSubjectRestriction(),
                  MutatingPolicies(*policies), MutatingWebhooks(webhooks(MUTATING)), ValidatingPolicies(*policies),
                  ValidatingWebhooks(webhooks(VALIDATING)), EscalationCheck(authoriser),
                  ResourceQuota(registry, server.clock)))
