"""Admission: what is changed in a request, and refused, between authorisation and the store.

One plugin a file, all of them the built-in ones of Kubernetes; the list below is in its order. Not here yet:
PodSecurity, ResourceQuota, webhooks and admission policies, DefaultStorageClass, DefaultIngressClass,
StorageObjectInUseProtection, OwnerReferencesPermissionEnforcement, and the plugins about certificate requests.
"""

from __future__ import annotations

from timonier.apiserver.admission.contract import Registry
from timonier.apiserver.admission.escalation import EscalationCheck
from timonier.apiserver.admission.limit_ranger import LimitRanger
from timonier.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from timonier.apiserver.admission.node_restriction import NodeRestriction
from timonier.apiserver.admission.plugins import Chain
from timonier.apiserver.admission.priority import Priority
from timonier.apiserver.admission.runtime_class import RuntimeClass
from timonier.apiserver.admission.service_account import ServiceAccount
from timonier.apiserver.admission.tolerations import DefaultTolerationSeconds, TaintNodesByCondition
from timonier.apiserver.auth.authorise import Authoriser


def chain(registry: Registry, authoriser: Authoriser) -> Chain:
    """Every plugin, in the order in which requests pass them."""
    return Chain((NamespaceLifecycle(registry), LimitRanger(registry), ServiceAccount(registry),
                  NodeRestriction(registry), TaintNodesByCondition(), Priority(registry), DefaultTolerationSeconds(),
                  RuntimeClass(registry), EscalationCheck(authoriser)))
