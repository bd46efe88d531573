"""MutatingAdmissionPolicy through a whole API server: apply configurations, JSON patches, and what cannot be done."""

from __future__ import annotations

from typing import Any

import pytest
from support.api_server import Cluster, config, pod, running

GROUP = "/apis/admissionregistration.k8s.io/v1"
POLICIES, BINDINGS = f"{GROUP}/mutatingadmissionpolicies", f"{GROUP}/mutatingadmissionpolicybindings"
CONFIGS, PODS = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods"


def apply(expression: str) -> dict[str, Any]:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patch(expression: str) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def policy(*mutations: Any, name: str = "p", resource: str = "configmaps", **spec: Any) -> dict[str, Any]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}
    constraints = {"resourceRules": [rule]}
    return {"metadata": {"name": name}, "spec": {
        "matchConstraints": constraints, "mutations": list(mutations), "reinvocationPolicy": "Never"} | spec}


async def put_in_place(cluster: Cluster, *policies: dict[str, Any]) -> None:
    for each in policies:
        reply = await cluster.post(POLICIES, each)
        assert reply.code == 201, reply.json
        name = each["metadata"]["name"]
        await cluster.post(BINDINGS, {"metadata": {"name": name}, "spec": {"policyName": name}})
    await cluster.settle()


async def test_apply_configuration_sets_what_it_names_and_leaves_the_rest(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy(apply(
            "Object{metadata: Object.metadata{labels: {'made-by': request.userInfo.username}}, data: {'b': '2'}}")))
        reply = await cluster.post(CONFIGS, config(a="1"))
        assert reply.code == 201, reply.message
        assert reply.json["data"] == {"a": "1", "b": "2"}
        assert reply.json["metadata"]["labels"] == {"made-by": "admin"}


async def test_apply_configuration_merges_lists_by_their_keys(tmp_path):
    async with running(tmp_path) as cluster:
        await cluster.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        await put_in_place(cluster, policy(apply("""
            Object{spec: Object.spec{
                initContainers: [Object.spec.initContainers{name: "mesh", image: "mesh:1", restartPolicy: "Always"}]}}
        """), resource="pods", matchConditions=[{
            "name": "without-mesh",
            "expression": "!object.spec.?initContainers.orValue([]).exists(c, c.name == 'mesh')"}]))
        reply = await cluster.post(PODS, pod("web", initContainers=[{"name": "other", "image": "x"}]))
        assert reply.code == 201, reply.message
        assert sorted(each["name"] for each in reply.json["spec"]["initContainers"]) == ["mesh", "other"]
        mesh = next(each for each in reply.json["spec"]["initContainers"] if each["name"] == "mesh")
        assert mesh["terminationMessagePolicy"] == "File"


async def test_json_patch_does_its_operations(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy(patch("""[
            JSONPatch{op: "test", path: "/data/a", value: "1"},
            JSONPatch{op: "add", path: "/metadata/annotations", value: {}},
            JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey("example.com/kept"),
                      value: "yes"},
            JSONPatch{op: "copy", from: "/data/a", path: "/data/b"}]""")))
        reply = await cluster.post(CONFIGS, config(a="1"))
        assert reply.json["data"] == {"a": "1", "b": "1"}
        assert reply.json["metadata"]["annotations"] == {"example.com/kept": "yes"}
        reply = await cluster.post(CONFIGS, config("other", a="2"))
        assert reply.json["data"] == {"a": "2"}


async def test_mutations_see_what_those_before_made(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(cluster, policy(apply("Object{data: {'b': '2'}}"), apply(
            "Object{data: {'c': string(object.data.size())}}")), policy(
                apply("Object{data: {'d': object.data.c}}"), name="q"))
        assert (await cluster.post(CONFIGS, config(a="1"))).json["data"] == {"a": "1", "b": "2", "c": "2", "d": "2"}


async def test_policy_is_asked_again_where_a_later_one_changed_the_object(tmp_path):
    async with running(tmp_path) as cluster:
        await put_in_place(
            cluster, policy(apply("Object{data: {'count': string(object.data.size())}}"), name="a",
                            reinvocationPolicy="IfNeeded",
                            matchConditions=[{"name": "few", "expression": "object.data.size() < 5"}]),
            policy(apply("Object{data: {'late': 'yes'}}"), name="b"))
        assert (await cluster.post(CONFIGS, config(a="1"))).json["data"] == {"a": "1", "count": "3", "late": "yes"}


REFUSED = {
    "atomic list": ("Object{spec: Object.spec{containers: [Object.spec.containers{name: 'app', args: ['x']}]}}",
                    "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
                    ".spec.containers[0].args"),
    "wrong name": ("Object{spec: Object.metadata{}}",
                   'type mismatch: unexpected type name "Object.metadata", expected "Object.spec", which matches field '
                   "name path from root Object type"),
    "unknown field": ("Object{spec: Object.spec{nothing: 1}}", ".spec.nothing: field not declared in schema"),
    "failing expression": ("Object{spec: Object.spec{nodeName: object.nothing}}", "no such key: nothing"),
}


@pytest.mark.parametrize(("expression", "text"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_done_is_refused_unless_failures_are_ignored(tmp_path, expression, text):
    async with running(tmp_path) as cluster:
        await cluster.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        await put_in_place(cluster, policy(apply(expression), resource="pods"))
        reply = await cluster.post(PODS, pod())
        assert (reply.code, reply.json["reason"]) == (422, "Invalid")
        assert "policy 'p' with binding 'p' denied request: " in reply.message
        assert text in reply.message
        await cluster.patch(f"{POLICIES}/p", {"spec": {"failurePolicy": "Ignore"}})
        await cluster.settle()
        assert (await cluster.post(PODS, pod())).code == 201


WRONG = {
    "not an object": (apply("'x'"), "spec.mutations[0].applyConfiguration.expression",
                      "must evaluate to Object but got string"),
    "not operations": (patch("[1]"), "spec.mutations[0].jsonPatch.expression",
                       "must evaluate to list(JSONPatch) but got list(int)"),
    "unknown type": (apply("Thing{}"), "spec.mutations[0].applyConfiguration.expression",
                     "undeclared reference to 'Thing'"),
    "unknown operation field": (patch("[JSONPatch{what: 'x'}]"), "spec.mutations[0].jsonPatch.expression",
                                "undefined field 'what'"),
}


@pytest.mark.parametrize(("mutation", "field", "text"), WRONG.values(), ids=WRONG)
async def test_mutation_that_cannot_be_compiled_is_refused(tmp_path, mutation, field, text):
    async with running(tmp_path) as cluster:
        reply = await cluster.post(POLICIES, policy(mutation))
        (cause,) = reply.json["details"]["causes"]
        assert (reply.code, cause["field"]) == (422, field)
        assert text in cause["message"]
