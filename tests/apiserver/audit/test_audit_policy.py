"""Which rule of an audit policy is about a request."""

from __future__ import annotations

from typing import Any

import pytest

from timonier.apiserver.audit.policy import Policy
from timonier.apiserver.request import Attributes, User

JANE = User("jane", groups=("dev", "system:authenticated"))
GET_POD = Attributes(JANE, "get", resource="pods", version="v1", namespace="shop", name="web")
POD_LOG = Attributes(JANE, "get", resource="pods", subresource="log", version="v1", namespace="shop", name="web")
HEALTH = Attributes(JANE, "get", is_resource=False, path="/healthz/etcd")


def policy(*rules: dict[str, Any], **more: Any) -> Policy:
    return Policy({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **more})


@pytest.mark.parametrize(("rule", "attributes", "expected"), [
    pytest.param({}, GET_POD, True, id="a-rule-without-conditions"),
    pytest.param({"users": ["jane"]}, GET_POD, True, id="user"),
    pytest.param({"users": ["joe"]}, GET_POD, False, id="another-user"),
    pytest.param({"userGroups": ["ops", "dev"]}, GET_POD, True, id="one-of-the-groups"),
    pytest.param({"verbs": ["list"]}, GET_POD, False, id="another-verb"),
    pytest.param({"namespaces": ["shop"]}, GET_POD, True, id="namespace"),
    pytest.param({"namespaces": [""]}, GET_POD, False, id="no-namespace"),
    pytest.param({"namespaces": ["shop"]}, HEALTH, False, id="a-path-has-no-namespace"),
    pytest.param({"resources": [{"group": ""}]}, GET_POD, True, id="all-of-a-group"),
    pytest.param({"resources": [{"group": "apps"}]}, GET_POD, False, id="another-group"),
    pytest.param({"resources": [{"group": "", "resources": ["pods"]}]}, GET_POD, True, id="resource"),
    pytest.param({"resources": [{"group": "", "resources": ["pods"]}]}, POD_LOG, False, id="a-subresource-is-another"),
    pytest.param({"resources": [{"group": "", "resources": ["pods/log"]}]}, POD_LOG, True, id="subresource"),
    pytest.param({"resources": [{"group": "", "resources": ["pods/*"]}]}, POD_LOG, True, id="any-subresource"),
    pytest.param({"resources": [{"group": "", "resources": ["*/log"]}]}, POD_LOG, True, id="of-any-resource"),
    pytest.param({"resources": [{"group": "*", "resources": ["*"]}]}, POD_LOG, True, id="everything"),
    pytest.param({"resources": [{"resources": ["pods"], "resourceNames": ["db"]}]}, GET_POD, False, id="another-name"),
    pytest.param({"nonResourceURLs": ["/healthz*"]}, HEALTH, True, id="path-with-wildcard"),
    pytest.param({"nonResourceURLs": ["/healthz"]}, HEALTH, False, id="another-path"),
    pytest.param({"nonResourceURLs": ["*"]}, GET_POD, False, id="a-resource-is-no-path"),
])
def test_a_rule_matches_what_it_names(rule: dict[str, Any], attributes: Attributes, expected: bool) -> None:
    found = policy({"level": "Metadata"} | rule).treatment(JANE, attributes)
    assert found.level == ("Metadata" if expected else "None")


def test_the_first_rule_that_matches_counts() -> None:
    assert policy({"level": "None", "users": ["jane"]}, {"level": "Request"}).treatment(JANE, GET_POD).level == "None"


def test_stages_are_left_out_by_the_policy_and_by_the_rule() -> None:
    found = policy({"level": "Request", "omitStages": ["Panic"]}, omitStages=["RequestReceived"])
    assert found.treatment(JANE, GET_POD).omit_stages == {"Panic", "RequestReceived"}


def test_a_rule_overrides_what_the_policy_says_of_managed_fields() -> None:
    rules = [{"level": "Request", "users": ["jane"], "omitManagedFields": False}, {"level": "Request"}]
    found = policy(*rules, omitManagedFields=True)
    assert [found.treatment(user, GET_POD).omit_managed_fields for user in (JANE, User("joe"))] == [False, True]


@pytest.mark.parametrize(("rule", "message"), [
    pytest.param({}, "rules[0].level: Required value", id="no-level"),
    pytest.param({"level": "All"}, 'rules[0].level: Unsupported value: "All": supported values: "None", "Metadata", '
                 '"Request", "RequestResponse"', id="unknown-level"),
    pytest.param({"level": "None", "user": ["x"]}, 'unknown field "rules[0].user"', id="unknown-field"),
    pytest.param({"level": "None", "users": "x"}, "rules[0].users: must be a list", id="wrong-type"),
    pytest.param({"level": "None", "users": [1]}, "rules[0].users: has entries of another type", id="wrong-entry"),
    pytest.param({"level": "None", "nonResourceURLs": ["x"]}, "must begin with a '/' character", id="relative-path"),
    pytest.param({"level": "None", "nonResourceURLs": ["/a*/b"]}, "must be the final character", id="inner-wildcard"),
    pytest.param({"level": "None", "nonResourceURLs": ["/a"], "namespaces": ["x"]}, "both regular resources and",
                 id="paths-and-resources"),
    pytest.param({"level": "None", "resources": [{"group": "apps/v1"}]}, 'rules[0].resources.group: Invalid value: '
                 '"apps/v1"', id="group-with-version"),
    pytest.param({"level": "None", "resources": [{"resourceNames": ["x"]}]}, "requires at least one resource",
                 id="names-of-nothing"),
    pytest.param({"level": "None", "omitStages": ["End"]}, "allowed stages are", id="unknown-stage"),
])
def test_a_policy_that_means_nothing_is_refused_with_the_field(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as raised:
        policy(rule)
    assert message in str(raised.value)


def test_a_document_of_another_kind_is_no_policy() -> None:
    with pytest.raises(ValueError, match=r"it must be a Policy of audit.k8s.io/v1"):
        Policy({"apiVersion": "audit.k8s.io/v1beta1", "kind": "Policy"})
