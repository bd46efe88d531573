"""Applies that are refused, or warned of: by whom, of what, and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.api_server import Cluster, Reply, config
from support.applying import APPLY, CONFIGS, WEB, apply, asked, deployment


@pytest.mark.parametrize(("query", "code", "message"), [
    pytest.param("", 422, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply '
                          "patch", id="without-a-manager"),
    pytest.param("?fieldManager=" + "x" * 129, 422, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Too long: '
                                                    "may not be more than 128 bytes", id="with-a-long-name"),
    pytest.param("?fieldManager=a%07", 422, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: '
                                            '"a\x07": invalid character U+0007 (at position 1)', id="with-a-bell"),
])
async def test_whoever_applies_needs_a_proper_name(cluster: Cluster, query: str, code: int, message: str) -> None:
    reply = await cluster.call("PATCH", WEB + query, deployment(), content_type=APPLY)
    assert (reply.code, reply.message) == (code, message)


async def test_only_an_apply_can_be_forced(cluster: Cluster) -> None:
    await cluster.post(CONFIGS, config())
    reply = await cluster.patch(f"{CONFIGS}/settings?force=true", {})
    assert (reply.code, reply.message) == (422, 'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be '
                                                "specified for non-apply patch")


async def test_cbor_is_not_taken(cluster: Cluster) -> None:
    reply = await cluster.call("PATCH", WEB, b"", content_type="application/apply-patch+cbor")
    assert reply.code == 415


@pytest.mark.parametrize(("change", "message"), [
    pytest.param({"spec": {"paused": "yes", "nonsense": 1}},
                 "failed to create typed patch object (/web; apps/v1, Kind=Deployment): errors:\n"
                 "  .spec.paused: expected boolean, got &{yes}\n  .spec.nonsense: field not declared in schema",
                 id="unknown-and-wrong-fields"),
    pytest.param({"metadata": {"name": "web", "managedFields": []}}, "metadata.managedFields must be nil",
                 id="managed-fields"),
    pytest.param({"apiVersion": "apps/v1beta1"}, "invalid object type: apps/v1beta1, Kind=Deployment", id="version"),
    pytest.param({"kind": "Pod", "apiVersion": "v1"}, "invalid object type: /v1, Kind=Pod", id="kind"),
    pytest.param({"metadata": {"name": "other"}},
                 "the name of the object (other) does not match the name on the URL (web)", id="name"),
    pytest.param({"metadata": {"name": "web", "namespace": "elsewhere"}},
                 "the namespace of the provided object does not match the namespace sent on the request",
                 id="namespace"),
    pytest.param({"metadata": {}},
                 "the name of the object (web based on URL) was undeterminable: name must be provided", id="no-name"),
    pytest.param({"spec": {"template": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}}},
                 "failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.template.spec.containers:"
                 ' duplicate entries for key [name="a"]', id="duplicates"),
])
async def test_what_is_no_configuration_of_the_kind_is_refused(cluster: Cluster, change: Any, message: str) -> None:
    reply = await apply(cluster, WEB, deployment() | change)
    assert (reply.code, reply.message) == (400, message)


@pytest.mark.parametrize(("body", "message"), [
    pytest.param(b"", "invalid object type: /, Kind=", id="nothing"),
    pytest.param(b"[]", "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
                        "array into Go value of type map[string]interface {}", id="list"),
    pytest.param(b"a: &a [*a]", "error decoding YAML: error converting YAML to JSON: yaml: document contains excessive "
                                "aliasing", id="endless"),
])
async def test_what_is_no_object_is_refused(cluster: Cluster, body: bytes, message: str) -> None:
    reply = await apply(cluster, WEB, body)
    assert (reply.code, reply.message) == (400, message)


async def test_broken_yaml_is_refused(cluster: Cluster) -> None:
    reply = await apply(cluster, WEB, b"a: [")
    assert reply.code == 400
    assert reply.message.startswith("error decoding YAML: error converting YAML to JSON: yaml: line ")


async def test_keys_that_come_twice_are_refused_or_warned_of(cluster: Cluster) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  a: x\n  a: z\n"
    strict = await apply(cluster, f"{CONFIGS}/settings", body, more="&fieldValidation=Strict")
    assert (strict.code, strict.message) == (400, "error strict decoding YAML: error converting YAML to JSON: yaml: "
                                                  'unmarshal errors:\n  line 7: key "a" already set in map')
    warned = await apply(cluster, f"{CONFIGS}/settings", body)
    assert (warned.code, warned.json["data"]) == (201, {"a": "z"})
    assert "already set in map" in warned.headers["warning"]


async def test_a_resource_version_or_uid_in_a_configuration_has_to_be_right(cluster: Cluster) -> None:
    named = asked(a="1") | {"metadata": {"name": "settings", "uid": "u"}}
    reply = await apply(cluster, f"{CONFIGS}/settings", named)
    assert (reply.code, reply.message) == (409, 'Operation cannot be fulfilled on configmaps "settings": uid mismatch: '
                                                "the provided object specified uid u, and no existing object was found")
    first = (await apply(cluster, f"{CONFIGS}/settings", asked(a="1"))).json["metadata"]["resourceVersion"]
    second = asked(a="2") | {"metadata": {"name": "settings", "resourceVersion": first}}
    assert (await apply(cluster, f"{CONFIGS}/settings", second)).code == 200
    assert (await apply(cluster, f"{CONFIGS}/settings", second | {"data": {"a": "3"}})).code == 409


async def test_what_is_nested_too_deeply_is_refused(cluster: Cluster) -> None:
    def nested(levels: int) -> Any:
        return {"f:a": nested(levels - 1)} if levels else {}
    made = (await cluster.post(CONFIGS, config(a="1"))).json
    for levels in (300, 700):
        made["metadata"]["managedFields"][0]["fieldsV1"] = nested(levels)
        reply = await cluster.put(f"{CONFIGS}/settings", json.dumps(made).encode())
        assert (reply.code, reply.message) == (400, "the object or the patch is nested too deeply: exceeded max depth")
    body = json.dumps(asked() | {"data": nested(700)}).encode()
    assert (await apply(cluster, f"{CONFIGS}/settings", body)).code == 400


async def test_who_may_only_patch_cannot_create_by_applying(cluster: Cluster) -> None:
    await cluster.post("/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", {
        "metadata": {"name": "patcher"}, "rules": [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}]})
    await cluster.post("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", {
        "metadata": {"name": "patcher"}, "subjects": [{"kind": "User", "name": "paul"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "patcher"}})
    await cluster.post(CONFIGS, config(a="1"))

    async def as_paul(name: str) -> Reply:
        return await cluster.call("PATCH", f"{CONFIGS}/{name}?fieldManager=me",
                                  asked(b="1") | {"metadata": {"name": name}}, content_type=APPLY,
                                  impersonate_user="paul")
    assert (await as_paul("settings")).code == 200
    refused = await as_paul("other")
    assert (refused.code, refused.message) == (
        403, 'configmaps "other" is forbidden: User "paul" cannot create resource "configmaps" in API group "" in the '
             'namespace "default"')
