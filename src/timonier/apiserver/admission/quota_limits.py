"""The configuration of ResourceQuota: what may be used only where a quota counts it.

Source: Kubernetes documentation, "Resource Quotas", "Limit Priority Class consumption by default".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timonier.api.quota.limited import Limited
from timonier.apiserver.admission.configuration import Document

KINDS = {"ResourceQuotaConfiguration": "apiserver.config.k8s.io", "Configuration": "resourcequota.admission.k8s.io"}
"""The kind of today and that of former days, which is still read."""
FIELDS = ("apiGroup", "resource", "matchContains", "matchScopes")
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def configured(document: Document) -> tuple[Limited, ...]:
    """The limited resources. Raises CannotRun."""
    if not document.content:
        return ()
    kind = document.content.get("kind")
    if kind not in KINDS:
        raise document.wrong(f"must be a ResourceQuotaConfiguration of {KINDS['ResourceQuotaConfiguration']}")
    content = document.checked(kind, (KINDS[kind],))
    document.known(content, ("apiVersion", "kind", "limitedResources"))
    return tuple(limited(document, each, f"limitedResources[{index}]")
                 for index, each in enumerate(document.objects("limitedResources")))


def limited(document: Document, given: Mapping[str, Any], path: str) -> Limited:
    document.known(given, FIELDS, f"{path}.")
    if not given.get("resource"):
        raise document.wrong(f"{path}.resource: Required value")
    scopes = given.get("matchScopes") or ()
    for index, scope in enumerate(scopes):
        document.known(scope, ("scopeName", "operator", "values"), f"{path}.matchScopes[{index}].")
        if not scope.get("scopeName") or scope.get("operator") not in OPERATORS:
            raise document.wrong(f"{path}.matchScopes[{index}]: needs a scopeName, and an operator of "
                                 f"{', '.join(OPERATORS)}")
    return Limited(given.get("apiGroup") or "", given["resource"], tuple(given.get("matchContains") or ()),
                   tuple(dict(scope) for scope in scopes))
