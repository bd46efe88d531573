"""Which FlowSchema and which flow a request belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from timonier.apiserver.fairness import defaults
from timonier.apiserver.fairness.classify import first, in_order
from timonier.apiserver.request import MASTERS_GROUP, User, parse

NAMES = [obj["metadata"]["name"] for obj in defaults.LEVELS]
EVERYONE = "system:authenticated"
ACCOUNT = User("system:serviceaccount:shop:web", groups=("system:serviceaccounts", EVERYONE))
SYSTEM_ACCOUNT = User("system:serviceaccount:kube-system:dns", groups=("system:serviceaccounts", EVERYONE))
NODE = User("system:node:n1", groups=("system:nodes", EVERYONE))
NOBODY = User("system:anonymous", groups=("system:unauthenticated",))
PODS = "/api/v1/namespaces/shop/pods"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"


def classified(user: User, path: str, schemas: Any = defaults.SCHEMAS) -> tuple[str, str]:
    info = parse("GET", path, {})
    schema = first(in_order(schemas, NAMES), user, info)
    assert schema is not None
    return schema.name, schema.flow_of(user, info)


@pytest.mark.parametrize(("user", "path", "expected"), [
    pytest.param(User("root", groups=(MASTERS_GROUP, EVERYONE)), PODS, ("exempt", ""), id="masters-are-exempt"),
    pytest.param(User("jane", groups=(EVERYONE,)), PODS, ("global-default", "jane"), id="people-by-name"),
    pytest.param(ACCOUNT, PODS, ("service-accounts", ACCOUNT.name), id="service-accounts-by-name"),
    pytest.param(SYSTEM_ACCOUNT, PODS, ("kube-system-service-accounts", "shop"), id="system-accounts-by-namespace"),
    pytest.param(NODE, PODS, ("system-nodes", NODE.name), id="kubelets"),
    pytest.param(NODE, "/api/v1/nodes/n1/status", ("system-node-high", NODE.name), id="a-kubelets-own-node"),
    pytest.param(NODE, f"{LEASES}/n1", ("system-node-high", NODE.name), id="heartbeats"),
    pytest.param(User("system:kube-scheduler", groups=(EVERYONE,)), f"{LEASES}/scheduler",
                 ("system-leader-election", "system:kube-scheduler"), id="leader-election"),
    pytest.param(NOBODY, "/healthz", ("probes", ""), id="probes"),
    pytest.param(NOBODY, "/livez/etcd", ("probes", ""), id="probes-of-one-check"),
    pytest.param(NOBODY, "/version", ("global-default", NOBODY.name), id="other-paths"),
])
def test_default_schemas_sort_requests_as_kubernetes_does(user: User, path: str, expected: tuple[str, str]) -> None:
    assert classified(user, path) == expected


def test_schemas_of_equal_precedence_are_asked_by_name() -> None:
    schemas = [defaults.everything(name, "system", 7, "", defaults.EVERYBODY) for name in ("b", "a")]
    assert classified(ACCOUNT, PODS, schemas)[0] == "a"


def test_a_schema_without_its_level_has_no_say() -> None:
    schemas = [defaults.everything("lost", "nowhere", 7, "", defaults.EVERYBODY), *defaults.SCHEMAS]
    assert classified(ACCOUNT, PODS, schemas)[0] == "service-accounts"


def test_a_rule_for_namespaces_matches_no_cluster_scoped_resource_unless_it_says_so() -> None:
    rule = defaults.resources(["*"], "", ["nodes"], cluster=False)
    schemas = [defaults.schema("mine", "system", 1, "", defaults.EVERYBODY, [rule]), *defaults.SCHEMAS]
    assert classified(ACCOUNT, "/api/v1/nodes", schemas)[0] == "service-accounts"
