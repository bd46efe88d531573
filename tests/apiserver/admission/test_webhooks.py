"""Webhooks through a whole API server: what they are asked, what their answers do, and what is said when they fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.api_server import config, pod, running
from support.definitions import FOOS, define, definition, foo, version
from support.webhook_server import add, allow, configuration, deny, hook, patching, webhook

from timonier.api.kinds import BY_ID
from timonier.apiserver.bootstrap import bootstrap

CONFIGS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
MUTATING = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
VALIDATING = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


async def configure(cluster: Any, name: str, *hooks: Any, validating: bool = False) -> None:
    path = VALIDATING if validating else MUTATING
    reply = await cluster.post(path, configuration(name, *hooks, validating=validating))
    assert reply.code == 201, reply.message
    await cluster.settle()


async def test_a_review_says_who_wants_what_of_which_object(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path) as server:
        await configure(cluster, "judge", hook(server.client("/review"), timeoutSeconds=7), validating=True)
        await cluster.post(f"{CONFIGS}?fieldManager=kubectl&dryRun=All", config("settings", key="value"))
        (review,) = server.asked
        request = review["request"]
        assert (review["apiVersion"], review["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
        assert server.paths == ["/review?timeout=7s"]
        kind, resource = {"group": "", "version": "v1", "kind": "ConfigMap"}, \
            {"group": "", "version": "v1", "resource": "configmaps"}
        assert request["object"]["data"] == {"key": "value"}
        assert request["object"]["metadata"]["uid"]
        assert {key: value for key, value in request.items() if key not in ("uid", "object")} == {
            "kind": kind, "requestKind": kind, "resource": resource, "requestResource": resource, "name": "settings",
            "namespace": "default", "operation": "CREATE", "oldObject": None, "dryRun": True,
            "userInfo": {"username": "admin", "groups": ["system:masters"]},
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "kubectl",
                        "dryRun": ["All"]}}


async def test_updates_and_deletions_show_what_was_there(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path) as server:
        await cluster.post(CONFIGS, config("settings", key="old"))
        await configure(cluster, "judge", hook(server.client(), operations=["*"]), validating=True)
        await cluster.patch(f"{CONFIGS}/settings", {"data": {"key": "new"}})
        await cluster.delete(f"{CONFIGS}/settings", {"propagationPolicy": "Background"})
        update, deletion = (review["request"] for review in server.asked)
        assert (update["operation"], update["object"]["data"], update["oldObject"]["data"]) == \
            ("UPDATE", {"key": "new"}, {"key": "old"})
        assert update["options"]["kind"] == "UpdateOptions"
        assert (deletion["operation"], deletion["object"], deletion["oldObject"]["data"]) == \
            ("DELETE", None, {"key": "new"})
        assert deletion["options"] == {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1",
                                       "propagationPolicy": "Background"}


async def test_webhooks_change_an_object_one_after_the_other_by_name(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path) as first, webhook(tmp_path) as second:
        first.decide = patching(add("/data/first", "yes"))
        second.decide = lambda request: patching(add("/data/saw", str(sorted(request["object"]["data"]))))(request)
        await configure(cluster, "b-second", hook(second.client()))
        await configure(cluster, "a-first", hook(first.client()))
        reply = await cluster.post(CONFIGS, config("settings", key="value"))
        assert reply.code == 201, reply.message
        assert reply.json["data"] == {"key": "value", "first": "yes", "saw": "['first', 'key']"}


async def test_what_webhooks_made_of_an_object_is_defaulted_and_checked_like_anything_else(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path) as server:
        await cluster.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        await configure(cluster, "inject", hook(server.client(), resources=["pods"]))
        server.decide = patching(add("/spec/initContainers", [{"name": "init", "image": "busybox"}]))
        reply = await cluster.post(PODS, pod("web"))
        assert reply.json["spec"]["initContainers"][0]["terminationMessagePolicy"] == "File"
        server.decide = patching(add("/spec/initContainers", [{"name": "init!", "image": "busybox"}]))
        reply = await cluster.post(PODS, pod("bad"))
        assert (reply.code, reply.json["reason"]) == (422, "Invalid")
        server.decide = patching(add("/metadata/labels", 7))
        reply = await cluster.post(PODS, pod("worse"))
        assert reply.code == 500
        assert "Internal error occurred: " in reply.message


@pytest.mark.parametrize(("status", "code", "reason", "words"), [
    pytest.param({}, 400, "", "without explanation", id="nothing-said"),
    pytest.param({"message": "not today"}, 400, "", ": not today", id="message"),
    pytest.param({"reason": "Teapot", "code": 418}, 418, "Teapot", ": Teapot", id="reason-and-code"),
    pytest.param({"message": "no", "reason": "Forbidden", "code": 403}, 403, "Forbidden", ": no", id="all"),
    pytest.param({"message": "ok", "code": 200}, 400, "", ": ok", id="code-of-success"),
])
async def test_a_denial_is_told_in_the_webhook_s_words(tmp_path, status, code, reason, words):
    async with running(tmp_path) as cluster, webhook(tmp_path, deny(**status)) as server:
        await configure(cluster, "judge", hook(server.client(), "deny.example.com"), validating=True)
        reply = await cluster.post(CONFIGS, config())
        denied = f'admission webhook "deny.example.com" denied the request{words if words[0] == ":" else " " + words}'
        assert (reply.code, reply.json["reason"], reply.message) == (code, reason, denied)


async def test_warnings_reach_the_user_and_annotations_the_audit_log(tmp_path):
    def answer(request: Any) -> Any:
        return {"allowed": True, "warnings": ["mind the gap"], "auditAnnotations": {"team": "blue"}}

    async with running(tmp_path) as cluster, webhook(tmp_path, answer) as server:
        await configure(cluster, "judge", hook(server.client()), validating=True)
        reply = await cluster.post(CONFIGS, config())
        assert reply.headers["warning"] == '299 - "mind the gap"'


@pytest.mark.parametrize(("policy", "code"), [("Fail", 500), ("Ignore", 201)])
async def test_a_webhook_that_is_not_there_counts_as_its_policy_says(tmp_path, policy, code):
    async with running(tmp_path) as cluster:
        client = {"url": "https://127.0.0.1:1/hook"}
        await configure(cluster, "gone", hook(client, failurePolicy=policy))
        reply = await cluster.post(CONFIGS, config())
        assert reply.code == code
        if policy == "Fail":
            words = 'failed calling webhook "hook.example.com": failed to call webhook: ' \
                    'Post "https://127.0.0.1:1/hook?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused'
            assert reply.message == f"Internal error occurred: {words}"
            assert reply.json["details"]["causes"] == [{"reason": "", "message": words, "field": ""}]


async def test_a_service_that_does_not_exist_is_named(tmp_path):
    async with running(tmp_path) as cluster:
        await configure(cluster, "gone", hook({"service": {"name": "hook", "namespace": "default", "path": "/x"}}))
        reply = await cluster.post(CONFIGS, config())
        assert reply.message.endswith('Post "https://hook.default.svc:443/x?timeout=10s": service "hook" not found')


async def test_a_slow_webhook_is_waited_for_as_long_as_it_may_take(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path) as server:
        server.hold = asyncio.Event()
        await configure(cluster, "slow", hook(server.client(), timeoutSeconds=1))
        reply = await cluster.post(CONFIGS, config())
        assert reply.code == 500
        assert reply.message.endswith("?timeout=1s\": context deadline exceeded")


async def test_a_certificate_of_another_authority_is_not_believed(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path) as server, webhook(tmp_path) as other:
        await configure(cluster, "judge", hook(server.client() | {"caBundle": other.bundle}))
        reply = await cluster.post(CONFIGS, config())
        assert reply.message.endswith(
            "tls: failed to verify certificate: x509: certificate signed by unknown authority")


@pytest.mark.parametrize(("answer", "words"), [
    pytest.param(b"hello", "invalid webhook response: couldn't get version/kind; json parse error", id="no-json"),
    pytest.param(b"{}", "received invalid webhook response: webhook response was absent", id="no-response"),
    pytest.param({"uid": "other", "allowed": True}, "invalid webhook response: expected response.uid=", id="uid"),
    pytest.param({"allowed": True, "patch": "W10="}, "webhook returned response.patch but not response.patchType",
                 id="no-type"),
    pytest.param({"allowed": True, "patch": "bm8=", "patchType": "JSONPatch"},
                 "received undecodable patch in webhook response", id="bad-patch"),
])
async def test_an_answer_that_breaks_the_protocol_is_a_failure_of_the_webhook(tmp_path, answer, words):
    async with running(tmp_path) as cluster, webhook(tmp_path, lambda request: answer) as server:
        await configure(cluster, "odd", hook(server.client()))
        reply = await cluster.post(CONFIGS, config())
        assert reply.code == 500
        assert words in reply.message


async def test_an_impossible_patch_fails_whatever_the_policy(tmp_path):
    patch = patching({"op": "remove", "path": "/data/none"})
    async with running(tmp_path) as cluster, webhook(tmp_path, patch) as server:
        await configure(cluster, "odd", hook(server.client(), failurePolicy="Ignore"))
        reply = await cluster.post(CONFIGS, config(key="value"))
        assert reply.code == 500


async def test_all_validating_webhooks_are_asked_at_the_same_time(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path) as one, webhook(tmp_path) as other:
        both = asyncio.Event()

        def together(request: Any) -> Any:
            return {"allowed": True}

        one.hold = other.hold = both
        one.decide = other.decide = together
        await configure(cluster, "a", hook(one.client()), validating=True)
        await configure(cluster, "b", hook(other.client()), validating=True)
        writing = asyncio.ensure_future(cluster.post(CONFIGS, config()))
        await asyncio.gather(one.called.wait(), other.called.wait())
        both.set()
        assert (await writing).code == 201


@pytest.mark.parametrize(("selector", "asked"), [
    pytest.param({"namespaceSelector": {"matchLabels": {"team": "blue"}}}, ["blue"], id="namespace"),
    pytest.param({"objectSelector": {"matchLabels": {"app": "web"}}}, ["blue", "default"], id="object"),
    pytest.param({"objectSelector": {"matchLabels": {"app": "db"}}}, [], id="other-object"),
])
async def test_selectors_choose_which_requests_are_asked_about(tmp_path, selector, asked):
    async with running(tmp_path) as cluster, webhook(tmp_path) as server:
        await cluster.post("/api/v1/namespaces", {"metadata": {"name": "blue", "labels": {"team": "blue"}}})
        await configure(cluster, "judge", hook(server.client(), **selector), validating=True)
        for namespace in ("blue", "default"):
            obj = config() | {"metadata": {"name": "settings", "labels": {"app": "web"}}}
            assert (await cluster.post(f"/api/v1/namespaces/{namespace}/configmaps", obj)).code == 201
        assert [review["request"]["namespace"] for review in server.asked] == asked


async def test_an_object_selector_sees_what_was_as_well_as_what_will_be(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path) as server:
        await cluster.post(CONFIGS, config() | {"metadata": {"name": "settings", "labels": {"app": "web"}}})
        await configure(cluster, "judge", hook(server.client(), objectSelector={"matchLabels": {"app": "web"}}))
        await cluster.patch(f"{CONFIGS}/settings", {"metadata": {"labels": {"app": None}}})
        await cluster.patch(f"{CONFIGS}/settings", {"data": {"key": "value"}})
        assert len(server.asked) == 1


async def test_a_rule_about_one_version_sees_writes_in_another_converted(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path) as server:
        rule = {"resources": ["horizontalpodautoscalers"], "groups": ["autoscaling"], "versions": ["v1"]}
        await configure(cluster, "same", hook(server.client(), **rule), validating=True)
        exact = hook(server.client("/exact"), "exact.example.com", matchPolicy="Exact", **rule)
        await configure(cluster, "exact", exact, validating=True)
        reply = await cluster.post("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", {
            "metadata": {"name": "web"}, "spec": {
                "maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}})
        assert reply.code == 201, reply.message
        assert server.paths == ["/hook?timeout=10s"]
        request = server.asked[0]["request"]
        assert (request["kind"]["version"], request["requestKind"]["version"]) == ("v1", "v2")
        assert request["object"]["apiVersion"] == "autoscaling/v1"
        assert request["object"]["spec"]["targetCPUUtilizationPercentage"] == 80


async def test_webhooks_that_wish_so_are_asked_again_where_later_ones_changed_something(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path) as server:
        def decide(request: Any) -> Any:
            data = request["object"]["data"]
            return patching(add("/data/late", "yes"))(request) if server.paths[-1].startswith("/late") \
                else patching(add(f"/data/seen-{len(data)}", "yes"))(request)

        server.decide = decide
        await configure(cluster, "a", hook(server.client("/eager"), reinvocationPolicy="IfNeeded"),
                        hook(server.client("/once"), "once.example.com"))
        await configure(cluster, "b", hook(server.client("/late")))
        reply = await cluster.post(CONFIGS, config(key="value"))
        assert [path.partition("?")[0] for path in server.paths] == ["/eager", "/once", "/late", "/eager"]
        assert sorted(reply.json["data"]) == ["key", "late", "seen-1", "seen-2", "seen-4"]


async def test_webhooks_have_no_say_about_webhooks(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path, deny()) as server:
        everything = {"resources": ["*/*"], "groups": ["*"], "versions": ["*"], "operations": ["*"]}
        await configure(cluster, "deny", hook(server.client(), **everything), validating=True)
        await configure(cluster, "deny", hook(server.client(), **everything))
        assert (await cluster.post(CONFIGS, config())).code == 400
        for path in (f"{VALIDATING}/deny", f"{MUTATING}/deny"):
            assert (await cluster.delete(path)).code == 200
        assert (await cluster.post(CONFIGS, config())).code == 201


async def test_connections_to_pods_are_judged_with_their_options(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path, deny("no shells")) as server:
        await cluster.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        await cluster.post(PODS, pod("web"))
        await configure(cluster, "deny", hook(server.client(), operations=["CONNECT"], resources=["pods/attach"]),
                        validating=True)
        reply = await cluster.post(f"{PODS}/web/attach?container=app&stdin=1", None)
        assert reply.message == 'admission webhook "hook.example.com" denied the request: no shells'
        request = server.asked[0]["request"]
        assert request["kind"] == {"group": "", "version": "v1", "kind": "PodAttachOptions"}
        assert (request["resource"]["resource"], request["subResource"], request["name"]) == ("pods", "attach", "web")
        assert request["object"] == {"kind": "PodAttachOptions", "apiVersion": "v1", "container": "app", "stdin": True,
                                     "stdout": True, "stderr": True}
        assert (request["operation"], request["options"]) == ("CONNECT", None)


async def test_older_reviews_are_spoken_where_a_webhook_wants_them(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path, allow) as server:
        await configure(cluster, "old", hook(server.client(), admissionReviewVersions=["v0", "v1beta1", "v1"]))
        assert (await cluster.post(CONFIGS, config())).code == 201
        assert server.asked[0]["apiVersion"] == "admission.k8s.io/v1beta1"


async def test_what_webhooks_do_is_counted(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path, deny(code=403)) as server:
        await configure(cluster, "deny", hook(server.client(), "deny.example.com"), validating=True)
        await cluster.post(CONFIGS, config())
        text = cluster.server.metrics.text().decode()
        assert 'apiserver_admission_webhook_rejection_count{error_type="no_error",name="deny.example.com",' \
               'operation="CREATE",rejection_code="403",type="validating"} 1.0' in text


def condition(expression: str, name: str = "wanted") -> dict[str, Any]:
    return {"matchConditions": [{"name": name, "expression": expression}]}


@pytest.mark.parametrize(("expression", "asked"), [
    pytest.param("object.metadata.name != 'settings'", False, id="object"),
    pytest.param("request.userInfo.username == 'admin' && request.operation == 'CREATE'", True, id="request"),
    pytest.param("authorizer.group('').resource('pods').check('create').allowed()", True, id="authorizer"),
])
async def test_a_webhook_is_asked_where_its_conditions_hold(tmp_path, expression, asked):
    async with running(tmp_path) as cluster, webhook(tmp_path) as server:
        await configure(cluster, "judge", hook(server.client(), **condition(expression)), validating=True)
        assert (await cluster.post(CONFIGS, config())).code == 201
        assert bool(server.asked) is asked


@pytest.mark.parametrize(("policy", "code"), [("Fail", 403), ("Ignore", 201)])
async def test_conditions_that_fail_count_as_the_policy_says(tmp_path, policy, code):
    async with running(tmp_path) as cluster, webhook(tmp_path) as server:
        wanted = hook(server.client(), failurePolicy=policy, **condition("object.data.missing == 'x'"))
        await configure(cluster, "judge", wanted)
        reply = await cluster.post(CONFIGS, config())
        assert (reply.code, server.asked) == (code, [])


async def test_conditions_that_cannot_be_compiled_are_refused_with_the_configuration(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path) as server:
        reply = await cluster.post(MUTATING, configuration("bad", hook(server.client(), **condition("1 +"))))
        assert reply.code == 422
        assert "webhooks[0].matchConditions[0].expression" in reply.message


async def test_what_goes_through_a_subresource_is_shown_as_the_subresource_has_it(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path) as server:
        await cluster.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        template = {"metadata": {"labels": {"app": "web"}}, "spec": pod()["spec"]}
        sets = "/apis/apps/v1/namespaces/default/replicasets"
        await cluster.post(sets, {"metadata": {"name": "web"}, "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}})
        await cluster.post(PODS, pod("web"))
        server.decide = lambda request: patching({"op": "replace", "path": "/spec/replicas", "value": 5})(request) \
            if request["kind"]["kind"] == "Scale" else {"allowed": True}
        await configure(cluster, "all", hook(server.client(), operations=["*"], groups=["*"], resources=[
            "replicasets/scale", "pods/binding", "pods/eviction"]))
        reply = await cluster.patch(f"{sets}/web/scale", {"spec": {"replicas": 3}})
        assert reply.json["spec"]["replicas"] == 5
        await cluster.post(f"{PODS}/web/binding", {"metadata": {"name": "web"}, "target": {"name": "n1"}})
        await cluster.post(f"{PODS}/web/eviction", {"metadata": {"name": "web"}})
        shown = [(review["request"]["operation"], review["request"]["object"]["kind"]) for review in server.asked]
        assert shown == [("UPDATE", "Scale"), ("CREATE", "Binding"), ("CREATE", "Eviction")]
        assert server.asked[0]["request"]["oldObject"]["spec"] == {"replicas": 1}


async def test_custom_objects_are_changed_in_the_version_of_the_rule_and_pruned(tmp_path):
    async with running(tmp_path) as cluster, webhook(tmp_path) as server:
        schema = {"type": "object", "properties": {"size": {"type": "integer"}, "colour": {"type": "string"}}}
        await define(cluster, definition(version("v1", schema), version("v2", schema)))
        server.decide = patching(add("/spec/colour", "red"), add("/spec/unheard", "of"))
        await configure(cluster, "all", hook(server.client(), groups=["example.com"], versions=["v2"],
                                             resources=["foos"], **condition("object.apiVersion == 'example.com/v2'")))
        reply = await cluster.post(FOOS, foo(spec={"size": 1}))
        assert reply.code == 201, reply.message
        assert (reply.json["apiVersion"], reply.json["spec"]) == ("example.com/v1", {"size": 1, "colour": "red"})
        request = server.asked[0]["request"]
        assert (request["object"]["apiVersion"], request["kind"]["version"], request["requestKind"]["version"]) == \
            ("example.com/v2", "v2", "v1")


async def test_custom_objects_are_counted_by_quotas(tmp_path):
    async with running(tmp_path) as cluster:
        await define(cluster)
        hard = {"count/foos.example.com": "1"}
        quotas = "/api/v1/namespaces/default/resourcequotas"
        made = await cluster.post(quotas, {"metadata": {"name": "q"}, "spec": {"hard": hard}})
        status = {"hard": hard, "used": {"count/foos.example.com": "0"}}
        await cluster.put(f"{quotas}/q/status", made.json | {"status": status})
        assert (await cluster.post(FOOS, foo("a"))).code == 201
        reply = await cluster.post(FOOS, foo("b"))
        assert "exceeded quota: q, requested: count/foos.example.com=1" in reply.message


async def test_what_the_server_writes_for_itself_no_webhook_judges(tmp_path):
    async with running(tmp_path) as cluster:
        everything = {"resources": ["*/*"], "groups": ["*"], "versions": ["*"], "operations": ["*"]}
        dead = hook({"url": "https://127.0.0.1:1/hook"}, **everything)
        await configure(cluster, "dead", dead, validating=True)
        await configure(cluster, "dead", dead)
        assert (await cluster.post(CONFIGS, config())).code == 500
        await bootstrap(cluster.registry, cluster.server.settings)
        made = await cluster.registry.create(BY_ID["v1/ConfigMap"], config("own"), "default")
        assert made["metadata"]["uid"]
