"""Policy status: expressions that do not fit the types that a policy is about."""

from __future__ import annotations

from typing import Any

import msgspec

from timonier.api.types.admissionregistration_v1 import ValidatingAdmissionPolicy
from timonier.api.types.apiextensions_v1 import CustomResourceDefinition
from timonier.controllers.policystatus import PolicyStatusController
from timonier.reconcile.snapshot import Memory, Snapshot

NOW = 1_800_000_000.0
DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"]}
WIDGET = {"metadata": {"name": "widgets.example.com"}, "spec": {
    "group": "example.com", "names": {"kind": "Widget", "plural": "widgets"}, "versions": [{"name": "v1", "schema": {
        "openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "size": {"type": "integer"}}}}}}}]}}


def policy(*expressions: str, rules: Any = (DEPLOYMENTS,), **spec: Any) -> ValidatingAdmissionPolicy:
    return msgspec.convert({"metadata": {"name": "p", "generation": 3}, "spec": {
        "matchConstraints": {"resourceRules": list(rules)},
        "validations": [{"expression": each} for each in expressions]} | spec}, ValidatingAdmissionPolicy)


def status(given: ValidatingAdmissionPolicy) -> Any:
    world = Snapshot({ValidatingAdmissionPolicy: Memory([given]),
                      CustomResourceDefinition: Memory([msgspec.convert(WIDGET, CustomResourceDefinition)])})
    plan = PolicyStatusController().plan("p", world, NOW)
    assert plan.status is not None
    return plan.status.status


def test_policy_that_fits_is_told_so_once() -> None:
    given = policy("object.spec.replicas > 1", "object.spec.template.spec.containers.all(c, has(c.image))")
    found = status(given)
    assert (found.observedGeneration, found.typeChecking.expressionWarnings) == (3, [])
    given.status = found
    world = Snapshot({ValidatingAdmissionPolicy: Memory([given]), CustomResourceDefinition: Memory([])})
    assert not PolicyStatusController().plan("p", world, NOW)


def test_warning_names_the_expression_the_kind_and_the_place() -> None:
    found = status(policy("object.spec.replicas > 1", "object.spec.replicas > '1'"))
    (warning,) = found.typeChecking.expressionWarnings
    assert warning.fieldRef == "spec.validations[1].expression"
    assert warning.warning == (
        "apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload for '_>_' applied to "
        "'(int, string)'\n"
        " | object.spec.replicas > '1'\n | .....................^\n")


def test_every_kind_of_a_policy_is_looked_at() -> None:
    both = DEPLOYMENTS | {"resources": ["deployments", "daemonsets", "deployments/scale", "pods/*"]}
    (warning,) = status(policy("object.spec.replicas > 1", rules=[both])).typeChecking.expressionWarnings
    assert warning.warning.startswith("apps/v1, Kind=DaemonSet: ERROR: <input>:1:12: undefined field 'replicas'")
    assert "Deployment:" not in warning.warning


def test_custom_kinds_are_checked_by_their_schema() -> None:
    rule = DEPLOYMENTS | {"apiGroups": ["example.com"], "resources": ["widgets"]}
    (warning,) = status(policy("object.spec.siez > 1", rules=[rule])).typeChecking.expressionWarnings
    assert warning.warning.startswith("example.com/v1, Kind=Widget: ERROR: <input>:1:12: undefined field 'siez'")


def test_variables_bring_their_types() -> None:
    given = policy("variables.many > 'x'", variables=[{"name": "many", "expression": "object.spec.replicas"}])
    assert "applied to '(int, string)'" in status(given).typeChecking.expressionWarnings[0].warning


def test_wildcards_and_unknown_kinds_are_not_checked() -> None:
    for change in ({"apiGroups": ["*"]}, {"apiVersions": ["*"]}, {"resources": ["*"]}, {"resources": ["nothings"]}):
        assert not status(policy("object.nothing == 1", rules=[DEPLOYMENTS | change])).typeChecking.expressionWarnings


def test_schema_without_end_is_left_alone() -> None:
    rule = {"apiGroups": ["apiextensions.k8s.io"], "apiVersions": ["v1"], "operations": ["*"],
            "resources": ["customresourcedefinitions"]}
    assert not status(policy("object.nothing == 1", rules=[rule])).typeChecking.expressionWarnings
