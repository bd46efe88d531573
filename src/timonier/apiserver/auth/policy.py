"""The objects made of the tables of default roles: what a cluster has from its first moment.

`objects()` gives them, with the labels and annotations by which they are known as defaults; `auth.bootstrap` keeps them
in the store, and repairs them at each start, so that later versions can bring new rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from timonier.apiserver.auth.controller_roles import CONTROLLERS, NOT_OF_THE_MANAGER
from timonier.apiserver.auth.default_roles import (
    AGGREGATED,
    AGGREGATES_TO,
    BINDINGS,
    NAMESPACE_BINDINGS,
    NAMESPACE_ROLES,
    ROLE_OF,
    ROLES,
)
from timonier.apiserver.auth.rule_lines import rules
from timonier.apiserver.request import Object

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
    yield cluster_role("timonier:controllers", rights_of_all_controllers())
    for (namespace, name), text in NAMESPACE_ROLES.items():
        yield shell("Role", name, namespace) | {"rules": rules(text)}
    for name, subjects in BINDINGS.items():
        yield binding("ClusterRoleBinding", name, "", "ClusterRole", ROLE_OF.get(name, name), subjects)
    for name in CONTROLLERS:
        role = f"system:controller:{name}"
        yield binding("ClusterRoleBinding", role, "", "ClusterRole", role, (f"ServiceAccount {name}",))
    for (namespace, name), subjects in NAMESPACE_BINDINGS.items():
        yield binding("RoleBinding", name, namespace, "Role", ROLE_OF.get(name, name), subjects)


def rights_of_all_controllers() -> list[Object]:
    """What the controller manager may do: its controllers share its identity, as long as it does not take theirs."""
    made: list[Object] = []
    for name in sorted(CONTROLLERS.keys() - NOT_OF_THE_MANAGER):
        made += (rule for rule in rules(CONTROLLERS[name]) if rule not in made)
    return made


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
