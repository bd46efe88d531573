"""ValidatingAdmissionPolicy through a whole API server: what is denied, warned of and noted, and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from support.api_server import Cluster, config, running
from support.definitions import FOOS, define, definition, foo, version

from timonier.api.cel.admission import Evaluation
from timonier.api.cel.values import Exhausted
from timonier.apiserver.admission.policies.compiled import ValidatingPolicy
from timonier.apiserver.admission.policies.validating import violated

GROUP = "/apis/admissionregistration.k8s.io/v1"
POLICIES, BINDINGS = f"{GROUP}/validatingadmissionpolicies", f"{GROUP}/validatingadmissionpolicybindings"
CONFIGS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CONFIG_KIND = {"apiVersion": "v1", "kind": "ConfigMap"}
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}


def rule(**changes: Any) -> dict[str, Any]:
    return RULE | changes


def policy(*validations: Any, name: str = "p", rules: Any = (RULE,), **spec: Any) -> dict[str, Any]:
    found = [{"expression": each} if isinstance(each, str) else each for each in validations]
    constraints = {"resourceRules": list(rules)} | spec.pop("constraints", {})
    return {"metadata": {"name": name}, "spec": {"matchConstraints": constraints, "validations": found} | spec}


def binding(name: str = "b", policy: str = "p", actions: Any = ("Deny",), **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"policyName": policy, "validationActions": list(actions)} | spec}


async def put_in_place(cluster: Cluster, *objects: dict[str, Any]) -> None:
    for obj in objects:
        reply = await cluster.post(BINDINGS if "policyName" in obj["spec"] else POLICIES, obj)
        assert reply.code == 201, reply.json
    await cluster.settle()


def deployment(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    return {"metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": labels}, "template": template}}


async def test_request_for_which_an_expression_is_false_is_denied(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy("object.data.size() < 2"), binding())
        assert (await cluster.post(CONFIGS, config("good", a="1"))).code == 201
        reply = await cluster.post(CONFIGS, config("bad", a="1", b="2"))
        text = ("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression: "
                "object.data.size() < 2")
        assert (reply.code, reply.json["reason"]) == (422, "Invalid")
        assert reply.message == f'configmaps "bad" is forbidden: {text}'
        assert reply.json["details"]["causes"] == [{"reason": "", "message": text, "field": ""}]


async def test_denial_has_the_reason_and_the_message_of_the_validation(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy({
            "expression": "has(object.data.a)", "reason": "Forbidden", "message": "no a",
            "messageExpression": "'no a in ' + object.metadata.name"}), binding())
        reply = await cluster.post(CONFIGS, config("bad"))
        assert (reply.code, reply.json["reason"]) == (403, "Forbidden")
        assert reply.message.endswith("denied request: no a in bad")


async def test_message_stands_in_where_its_expression_fails(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy({"expression": "has(object.data.a)", "message": "no a",
                                            "messageExpression": "string(object.nothing.here)"}), binding())
        assert (await cluster.post(CONFIGS, config("bad"))).message.endswith("denied request: no a")


async def test_without_a_binding_a_policy_does_nothing(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy("false"))
        assert (await cluster.post(CONFIGS, config())).code == 201
        await put_in_place(cluster, binding())
        assert (await cluster.post(CONFIGS, config("other"))).code == 422
        await cluster.delete(f"{BINDINGS}/b")
        await cluster.settle()
        assert (await cluster.post(CONFIGS, config("other"))).code == 201


def test_message_whose_expression_costs_more_than_is_left_is_a_failure():
    costly = {"expression": "false", "messageExpression": "[1, 2, 3].map(x, string(x)).join(',')"}
    given = ValidatingPolicy.of(policy(costly))
    assert [each.message for each in violated(given, Evaluation({}, {}, 1000), [])] == ["1,2,3"]
    with pytest.raises(Exhausted, match=r"^failed messageExpression: validation failed due to running out of cost "):
        list(violated(given, Evaluation({}, {}, 10), []))


async def test_evaluation_that_fails_denies_unless_failures_are_ignored(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy("object.data.a == '1'"), binding())
        reply = await cluster.post(CONFIGS, config())
        assert reply.message.endswith("expression 'object.data.a == '1'' resulted in error: no such key: data") or \
            reply.message.endswith("expression 'object.data.a == '1'' resulted in error: no such key: a")
        await cluster.patch(f"{POLICIES}/p", {"spec": {"failurePolicy": "Ignore"}})
        await cluster.settle()
        assert (await cluster.post(CONFIGS, config())).code == 201


async def test_warn_and_audit_let_the_request_pass(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy({"expression": "false", "message": "not like this"}),
                           binding(actions=["Warn", "Audit"]))
        reply = await cluster.post(CONFIGS, config())
        assert reply.code == 201
        assert reply.headers["warning"] == ("299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding "
                                            "'b': not like this\"")


async def test_variables_are_typed_lazy_and_see_those_before(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy(
            "variables.long ? variables.broken > 1 : variables.name == 'short'", variables=[
                {"name": "name", "expression": "object.metadata.name"},
                {"name": "long", "expression": "string(variables.name).size() > 5"},
                {"name": "broken", "expression": "size(object.nothing)"}]), binding())
        assert (await cluster.post(CONFIGS, config("short"))).code == 201
        reply = await cluster.post(CONFIGS, config("too-long"))
        assert 'composited variable "broken" fails to evaluate: no such key: nothing' in reply.message


async def test_parameters_come_from_what_the_binding_names(tmp_path):
    async with running(tmp_path) as cluster:
        await cluster.post(CONFIGS, config("limits", most="3"))
        await put_in_place(
            cluster, policy("object.spec.replicas <= int(params.data.most)", paramKind=CONFIG_KIND,
                            rules=[rule(apiGroups=["apps"], resources=["deployments"])]),
            binding(paramRef={"name": "limits", "parameterNotFoundAction": "Deny"}))
        assert (await cluster.post(DEPLOYMENTS, deployment("small", 3))).code == 201
        reply = await cluster.post(DEPLOYMENTS, deployment("large", 4))
        assert reply.message.endswith("failed expression: object.spec.replicas <= int(params.data.most)")
        await cluster.patch(f"{CONFIGS}/limits", {"data": {"most": "4"}})
        await cluster.settle()
        assert (await cluster.post(DEPLOYMENTS, deployment("large", 4))).code == 201
        await cluster.delete(f"{CONFIGS}/limits")
        await cluster.settle()
        reply = await cluster.post(DEPLOYMENTS, deployment("other", 1))
        assert reply.message.endswith("denied request: failed to configure binding: no params found for policy binding "
                                      "with `Deny` parameterNotFoundAction")


async def test_every_selected_parameter_is_asked(tmp_path):
    async with running(tmp_path) as cluster:
        for name, most in (("a", "5"), ("b", "2")):
            made = config(name, most=most)
            made["metadata"]["labels"] = {"limit": "yes"}
            await cluster.post(CONFIGS, made)
        await put_in_place(
            cluster, policy("object.spec.replicas <= int(params.data.most)", paramKind=CONFIG_KIND,
                            rules=[rule(apiGroups=["apps"], resources=["deployments"])]),
            binding(paramRef={"selector": {"matchLabels": {"limit": "yes"}}, "parameterNotFoundAction": "Allow"}))
        assert (await cluster.post(DEPLOYMENTS, deployment("small", 2))).code == 201
        assert (await cluster.post(DEPLOYMENTS, deployment("large", 3))).code == 422


async def test_selectors_names_exclusions_and_bindings_narrow_a_policy(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(
            cluster, policy("false", constraints={"objectSelector": {"matchLabels": {"judge": "me"}},
                                                  "excludeResourceRules": [rule(resourceNames=["spared"])]}),
            binding(matchResources={"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}))
        labelled = {"metadata": {"labels": {"judge": "me"}}}
        assert (await cluster.post(CONFIGS, config("plain"))).code == 201
        for name, code in (("spared", 201), ("judged", 422)):
            made = config(name)
            made["metadata"] |= labelled["metadata"]
            assert (await cluster.post(CONFIGS, made)).code == code
        await cluster.post("/api/v1/namespaces", {"metadata": {"name": "other"}})
        made = config("judged")
        made["metadata"] |= labelled["metadata"]
        assert (await cluster.post("/api/v1/namespaces/other/configmaps", made)).code == 201


async def test_conditions_decide_whether_a_policy_is_asked(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy("false", matchConditions=[
            {"name": "not-admins", "expression": "!('system:masters' in request.userInfo.groups)"}]), binding())
        assert (await cluster.post(CONFIGS, config())).code == 201


async def test_conditions_do_not_see_the_namespace(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy("namespaceObject == null", matchConditions=[
            {"name": "none", "expression": "namespaceObject == null"}]), binding())
        reply = await cluster.post(CONFIGS, config())
        assert reply.message.endswith("failed expression: namespaceObject == null")


async def test_expressions_see_the_request_the_namespace_and_what_was_there(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy(
            "request.operation == 'CREATE' ? oldObject == null : oldObject.data.a == '1'",
            "request.kind.kind == 'ConfigMap' && request.resource.resource == 'configmaps'",
            "!has(request.subResource)",
            "request.namespace == 'default' && request.name == object.metadata.name && !request.dryRun",
            "request.userInfo.username == 'admin'", "namespaceObject.metadata.name == 'default'",
            "namespaceObject.status.phase == 'Active'"), binding())
        reply = await cluster.post(CONFIGS, config("c", a="1"))
        assert reply.code == 201, reply.message
        reply = await cluster.patch(f"{CONFIGS}/c", {"data": {"a": "2"}})
        assert reply.code == 200, reply.message


async def test_authorizer_is_asked_for_the_user_and_for_service_accounts(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy(
            "authorizer.group('').resource('configmaps').namespace('default').check('delete').allowed()",
            "!authorizer.serviceAccount('default', 'nobody').group('').resource('secrets').check('get').allowed()",
            "authorizer.requestResource.check('create').allowed()",
            "authorizer.path('/healthz').check('get').allowed()"), binding())
        reply = await cluster.post(CONFIGS, config())
        assert reply.code == 201, reply.message


async def test_equivalent_versions_are_judged_in_the_version_of_the_rule(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy(
            "object.apiVersion == 'autoscaling/v1' && object.spec.targetCPUUtilizationPercentage == 50",
            rules=[rule(apiGroups=["autoscaling"], resources=["horizontalpodautoscalers"])]), binding())
        metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization",
                                                                             "averageUtilization": 50}}}
        reply = await cluster.post("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", {
            "metadata": {"name": "h"}, "spec": {"maxReplicas": 2, "metrics": [metric], "scaleTargetRef": {
                "apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}})
        assert reply.code == 201, reply.message


async def test_policies_and_bindings_themselves_are_never_judged(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy("false", rules=[rule(apiGroups=["*"], apiVersions=["*"], resources=["*"])]),
                           binding())
        assert (await cluster.delete(f"{BINDINGS}/b")).code == 200


WRONG = {
    "compile": ({"validations": [{"expression": "object.x +"}]}, "spec.validations[0].expression",
                'Invalid value: "object.x +": compilation failed: ERROR: <input>:1:11: Syntax error: mismatched input'),
    "type": ({"validations": [{"expression": "1 + 1"}]}, "spec.validations[0].expression",
             'Invalid value: "1 + 1": must evaluate to bool but got int'),
    "message": ({"validations": [{"expression": "true", "messageExpression": "1"}]},
                "spec.validations[0].messageExpression", 'Invalid value: "1": must evaluate to string but got int'),
    "annotation": ({"auditAnnotations": [{"key": "k", "valueExpression": "1"}]},
                   "spec.auditAnnotations[0].valueExpression",
                   'Invalid value: "1": must evaluate to one of [string null_type] but got int'),
    "condition": ({"matchConditions": [{"name": "c", "expression": "request.nothing"}]},
                  "spec.matchConditions[0].expression",
                  'Invalid value: "request.nothing": compilation failed: ERROR: <input>:1:8: undefined field'),
    "variable": ({"variables": [{"name": "v", "expression": "missing"}]}, "spec.variables[0].expression",
                 'Invalid value: "missing": compilation failed: ERROR: <input>:1:1: undeclared reference to'),
    "params without kind": ({"validations": [{"expression": "params == null"}]}, "spec.validations[0].expression",
                            "undeclared reference to 'params'"),
    "unknown variable": ({"validations": [{"expression": "variables.v"}]}, "spec.validations[0].expression",
                         "undefined field 'v'"),
}


@pytest.mark.parametrize(("spec", "field", "text"), WRONG.values(), ids=WRONG)
async def test_policy_that_cannot_be_compiled_is_refused(tmp_path, spec, field, text):
    async with running(tmp_path) as cluster:
        given = policy("true")
        given["spec"] |= spec
        reply = await cluster.post(POLICIES, given)
        assert (reply.code, reply.json["reason"]) == (422, "Invalid")
        (cause,) = reply.json["details"]["causes"]
        assert cause["field"] == field
        assert text in cause["message"]


async def test_what_came_of_policies_is_counted(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy("object.data.size() < 1"), binding(), binding("w", actions=["Warn"]))
        await put_in_place(cluster, policy("object.nothing == 1", name="q", failurePolicy="Ignore"), binding("i", "q"))
        await cluster.post(CONFIGS, config(a="1"))
        text = (await cluster.get("/metrics")).content.decode()
        for bound, error, action in (("b", "invalid_error", "deny"), ("w", "invalid_error", "warn")):
            assert (f'apiserver_validating_admission_policy_check_total{{enforcement_action="{action}",'
                    f'error_type="{error}",policy="p",policy_binding="{bound}"}} 1.0') in text.replace(", ", ",")
        assert 'policy="q",policy_binding="i"} 1.0' in text


async def test_policies_are_kept_like_other_objects(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy("true"), binding())
        made = (await cluster.get(f"{POLICIES}/p")).json
        assert made["spec"]["matchConstraints"]["matchPolicy"] == "Equivalent"
        assert (made["metadata"]["generation"], made["spec"]["failurePolicy"]) == (1, "Fail")
        status = {"observedGeneration": 1, "conditions": [{
            "type": "Checked", "status": "True", "reason": "Fine", "message": "", "lastTransitionTime":
            "2026-01-01T00:00:00Z"}]}
        reply = await cluster.put(f"{POLICIES}/p/status", made | {"status": status})
        assert (reply.code, reply.json["status"]) == (200, status)
        patched = await cluster.patch(f"{POLICIES}/p", {"metadata": {"labels": {"a": "b"}}})
        assert (patched.json["status"], patched.json["metadata"]["generation"]) == (status, 1)
        changed = await cluster.patch(f"{POLICIES}/p", {"spec": {"failurePolicy": "Ignore"}})
        assert changed.json["metadata"]["generation"] == 2
        assert (await cluster.delete(f"{BINDINGS}?labelSelector=x=y")).code == 200
        assert len((await cluster.get(BINDINGS)).json["items"]) == 1
        assert (await cluster.delete(POLICIES)).code == 200
        assert (await cluster.get(POLICIES)).json["items"] == []


async def test_custom_objects_are_judged_in_the_version_of_the_rule(tmp_path):
    async with running(tmp_path) as cluster:
        await define(cluster, definition(version("v1"), version("v2")))
        wanted = policy("object.apiVersion == 'example.com/v1'")
        wanted["spec"]["matchConstraints"] = {"resourceRules": [{
            "apiGroups": ["example.com"], "apiVersions": ["v2"], "operations": ["CREATE"], "resources": ["foos"]}]}
        await put_in_place(cluster, wanted, binding())
        reply = await cluster.post(FOOS, foo("x"))
        assert (reply.code, "object.apiVersion == 'example.com/v1'" in reply.message) == (422, True)
