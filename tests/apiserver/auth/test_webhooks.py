"""Webhooks that are asked who somebody is and what they may: their answers, their silence, and what is kept of both."""

import asyncio
import socket
from dataclasses import replace

import pytest
import yaml
from support.callee import called
from support.policy_world import World, thing

from timonier.api.errors import Forbidden
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.configured import from_file, seconds
from timonier.apiserver.auth.identity import BadToken
from timonier.apiserver.auth.kept import Kept
from timonier.apiserver.auth.token_webhook import WebhookTokens
from timonier.apiserver.auth.webhook import WebhookAuthoriser
from timonier.apiserver.calls import NoAnswer, Webhook
from timonier.apiserver.request import Attributes, User
from timonier.kit.clock import FakeClock
from timonier.kit.fatal import CannotRun

OURS = "https://kubernetes.default.svc"
ANN = User("ann", "7", ("dev", "system:authenticated"), {"scope": ("a",)})
LIST = Attributes(ANN, "list", version="v1", resource="pods", namespace="ns", field_selector="spec.nodeName=n1,a!=b",
                  label_selector="app in (a,b),!old")


class Patient(FakeClock):
    """A clock on which nobody waits for long."""

    async def sleep(self, seconds):
        self.slept = getattr(self, "slept", 0) + seconds
        await asyncio.sleep(0)


class Asked:
    """A webhook and what stands before it."""

    def __init__(self, callee, folder):
        self.callee, self.clock = callee, Patient()
        self.webhook = Webhook.from_file(callee.kubeconfig(folder), self.clock)
        self.tokens = WebhookTokens(self.webhook, [OURS], Kept(self.clock), 120)
        self.authoriser = WebhookAuthoriser(self.webhook, Kept(self.clock))

    def answers(self, *found):
        """One after the other; the last for ever."""
        rest = list(found)
        self.callee.answer = lambda path, sent: rest.pop(0) if len(rest) > 1 else rest[0]
        return self

    async def identify(self, token="t", audiences=(OURS,)):
        return await self.tokens.identify(token, audiences)


@pytest.fixture
async def asked(tmp_path):
    async with called(lambda path, sent: 404) as callee:
        made = Asked(callee, tmp_path)
        yield made
        await made.webhook.connections.close()


def known(**status):
    return {"status": {"authenticated": True, "user": {
        "username": "bob", "uid": "1", "groups": ["x"], "extra": {"k": ["v"]}}} | status}


async def test_a_token_is_reviewed_by_who_knows_it(asked):
    found = await asked.answers(known()).identify()
    assert found.user == User("bob", "1", ("x", "system:authenticated"), {"k": ("v",)})
    assert found.audiences == (OURS,)
    assert asked.callee.asked == [{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {},
                                   "spec": {"token": "t", "audiences": [OURS]}}]
    assert asked.callee.headers[0]["authorization"] == "Bearer secret"


async def test_an_answer_is_kept_for_a_while(asked):
    asked.answers(known())
    await asyncio.gather(*(asked.identify() for _ in range(5)))
    assert len(asked.callee.asked) == 1
    await asked.clock.advance(121)
    await asked.identify()
    assert len(asked.callee.asked) == 2


@pytest.mark.parametrize("answer", [
    {"status": {"authenticated": False}}, {"status": {}}, {}, known(audiences=["other"])])
async def test_who_is_not_known_there_may_be_known_elsewhere(asked, answer):
    assert await asked.answers(answer).identify() is None


@pytest.mark.parametrize(("answer", "why"), [
    ({"status": {"authenticated": False, "error": "revoked"}}, "revoked"), (403, "it answered 403"),
    ([], "not an object"), ({"status": {"authenticated": True}}, "not a TokenReview with a user"),
    ({"status": {"authenticated": True, "user": {"username": "x", "extra": 7}}}, "not a TokenReview with a user")])
async def test_an_answer_that_is_none_lets_nobody_in(asked, answer, why):
    with pytest.raises(BadToken, match=why):
        await asked.answers(answer).identify()


async def test_what_fails_in_passing_is_asked_again_and_not_for_ever(asked):
    assert (await asked.answers(500, 429, known()).identify()).user.name == "bob"
    assert 1.2 < asked.clock.slept < 1.6
    with pytest.raises(NoAnswer, match="it answered 500"):
        await asked.answers(500).webhook.ask({})
    assert len(asked.callee.asked) == 3 + 5


async def test_nobody_waits_for_ever_for_a_webhook_that_is_not_there(asked):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        slow = replace(asked.webhook, config=replace(asked.webhook.config, server=f"http://127.0.0.1:{port}"),
                       limit=0.1)
        with pytest.raises(NoAnswer, match=r"no answer within 0\.1 s"):
            await slow.ask({})
    gone = replace(asked.webhook, config=replace(asked.webhook.config, server="http://127.0.0.1:1"))
    with pytest.raises(NoAnswer):
        await gone.ask({})


async def test_a_request_is_put_before_the_authoriser_whole(asked):
    found = await asked.answers({"status": {"allowed": True, "reason": "why not"}}).authoriser.decide(LIST)
    assert (found.allowed, found.reason) == (True, "why not")
    (review,) = asked.callee.asked
    assert (review["apiVersion"], review["kind"]) == ("authorization.k8s.io/v1", "SubjectAccessReview")
    assert review["spec"] == {
        "user": "ann", "uid": "7", "groups": ["dev", "system:authenticated"], "extra": {"scope": ["a"]},
        "resourceAttributes": {
            "verb": "list", "version": "v1", "resource": "pods", "namespace": "ns",
            "fieldSelector": {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n1"]},
                                               {"key": "a", "operator": "NotIn", "values": ["b"]}]},
            "labelSelector": {"requirements": [{"key": "app", "operator": "In", "values": ["a", "b"]},
                                               {"key": "old", "operator": "DoesNotExist"}]}}}
    await asked.authoriser.decide(Attributes(ANN, "get", is_resource=False, path="/metrics"))
    assert asked.callee.asked[1]["spec"]["nonResourceAttributes"] == {"path": "/metrics", "verb": "get"}


@pytest.mark.parametrize(("status", "allowed", "denied", "error"), [
    ({"allowed": False}, False, False, ""), ({"allowed": False, "denied": True}, False, True, ""),
    ({"allowed": True, "denied": True}, False, True, "both allow and deny")])
async def test_an_authoriser_allows_denies_or_has_no_opinion(asked, status, allowed, denied, error):
    found = await asked.answers({"status": status}).authoriser.decide(LIST)
    assert (found.allowed, found.denied) == (allowed, denied)
    assert error in found.error


async def test_yes_and_no_are_kept_for_times_of_their_own(asked):
    asked.answers({"status": {"allowed": True}})
    for wait, questions in ((0, 1), (299, 1), (2, 2)):
        await asked.clock.advance(wait)
        await asked.authoriser.decide(LIST)
        assert len(asked.callee.asked) == questions
    asked.answers({"status": {"allowed": False}})
    other = replace(LIST, verb="get")
    for wait, questions in ((0, 3), (29, 3), (2, 4)):
        await asked.clock.advance(wait)
        await asked.authoriser.decide(other)
        assert len(asked.callee.asked) == questions


@pytest.mark.parametrize("denies", [True, False])
async def test_who_does_not_answer_denies_or_has_no_opinion(asked, denies):
    found = await replace(asked.answers(403).authoriser, deny_on_error=denies).decide(LIST)
    assert (found.allowed, found.denied, found.error) == (False, denies, "it answered 403")


async def test_a_denial_ends_the_search_and_no_opinion_goes_on(asked):
    world = World(thing("rbac.authorization.k8s.io/v1/ClusterRole", "r", rules=[
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]), thing(
            "rbac.authorization.k8s.io/v1/ClusterRoleBinding", "b", roleRef={"kind": "ClusterRole", "name": "r"},
            subjects=[{"kind": "User", "name": "ann"}]))
    authoriser = Authoriser(world, [asked.authoriser, "RBAC"])
    asked.answers({"status": {"allowed": False, "denied": True, "reason": "frozen"}}, {"status": {"allowed": False}})
    with pytest.raises(Forbidden, match="frozen"):
        await authoriser.demand(LIST)
    await asked.clock.advance(31)
    await authoriser.demand(LIST)
    await authoriser.demand(replace(LIST, user=User("root", groups=("system:masters",))))


def written(folder, *authorizers):
    file = folder / "authorization.yaml"
    file.write_text(yaml.safe_dump({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration",
                                    "authorizers": list(authorizers)}))
    return file


def part(kubeconfig, **more):
    return {"type": "Webhook", "name": "w", "webhook": {
        "timeout": "3s", "subjectAccessReviewVersion": "v1", "failurePolicy": "Deny",
        "matchConditionSubjectAccessReviewVersion": "v1",
        "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": str(kubeconfig)}} | more}


async def test_conditions_save_a_webhook_what_does_not_concern_it(asked, tmp_path):
    conditions = [{"expression": "has(request.resourceAttributes)"},
                  {"expression": "request.resourceAttributes.namespace == 'ns' && request.extra['scope'][0] == 'a'"}]
    (made,) = from_file(written(tmp_path, part(asked.callee.kubeconfig(tmp_path), matchConditions=conditions)),
                        asked.clock)
    asked.answers({"status": {"allowed": True}})
    assert (await made.decide(LIST)).allowed
    assert not (await made.decide(replace(LIST, namespace="other"))).allowed
    assert not (await made.decide(Attributes(ANN, "get", is_resource=False, path="/"))).allowed
    assert len(asked.callee.asked) == 1
    failed = await made.decide(replace(LIST, user=User("bob")))
    assert (failed.denied, len(asked.callee.asked)) == (True, 1)
    assert "resulted in error: no such key: scope" in failed.error
    await made.webhook.connections.close()


def test_modes_and_webhooks_come_in_the_order_of_the_file(tmp_path):
    (tmp_path / "k").write_text(yaml.safe_dump({
        "clusters": [{"name": "w", "cluster": {"server": "http://127.0.0.1:1"}}], "current-context": "w",
        "contexts": [{"name": "w", "context": {"cluster": "w"}}]}))
    found = from_file(written(tmp_path, {"type": "Node", "name": "node"}, part(tmp_path / "k"),
                              {"type": "RBAC", "name": "rbac"}), FakeClock())
    assert found[::2] == ["Node", "RBAC"]
    assert (found[1].deny_on_error, found[1].authorized_seconds, found[1].webhook.limit) == (True, 300, 3)


@pytest.mark.parametrize(("change", "wrong"), [
    ({"timeout": ""}, "authorizers[0].timeout: Required value"), ({"timeout": "31s"}, "must be > 0s and <= 30s"),
    ({"timeout": "soon"}, "must be > 0s and <= 30s"), ({"authorizedTTL": "0s"}, "authorizedTTL: Required value"),
    ({"subjectAccessReviewVersion": "v2"}, "Unsupported value: \"v2\""), ({"failurePolicy": ""}, "failurePolicy"),
    ({"connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": "x"}}, "must be an absolute path"),
    ({"connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": "/nothing"}}, "must be a regular file"),
    ({"connectionInfo": {"type": "InClusterConfig"}}, "never inside of its own cluster"),
    ({"matchConditions": [{"expression": "1"}]}, "must evaluate to bool but got int"),
    ({"matchConditions": [{"expression": "request.nothing"}]}, "compilation failed"),
    ({"matchConditions": [{"expression": " "}]}, "matchConditions[0].expression: Required value"),
    ({"matchConditions": [{"expression": "true"}], "matchConditionSubjectAccessReviewVersion": ""},
     "required if match conditions are specified"), ({"nonsense": 1}, "unknown field `nonsense`")])
def test_what_is_wrong_with_a_webhook_is_told(tmp_path, change, wrong):
    with pytest.raises(CannotRun) as caught:
        from_file(written(tmp_path, part(tmp_path / "k", **change)), FakeClock())
    assert wrong in str(caught.value)


@pytest.mark.parametrize(("authorizers", "wrong"), [
    ([], "at least one authorization mode must be defined"), ([{"name": "a"}], "authorizers[0].type: Required value"),
    ([{"type": "ABAC", "name": "a"}], "Unsupported value"), ([{"type": "RBAC"}], "authorizers[0].name: Required value"),
    ([{"type": "RBAC", "name": "a"}, {"type": "Node", "name": "a"}], "authorizers[1].name: Duplicate value"),
    ([{"type": "RBAC", "name": "a"}, {"type": "RBAC", "name": "b"}], "authorizers[1].type: Duplicate value"),
    ([{"type": "RBAC", "name": "A_"}], "authorizer name is invalid"),
    ([{"type": "Webhook", "name": "a"}], "required when type=Webhook"),
    ([{"type": "RBAC", "name": "a", "webhook": {}}], "may only be specified when type=Webhook")])
def test_what_is_wrong_with_the_list_is_told(tmp_path, authorizers, wrong):
    with pytest.raises(CannotRun) as caught:
        from_file(written(tmp_path, *authorizers), FakeClock())
    assert wrong in str(caught.value)


@pytest.mark.parametrize(("text", "found"), [("1h30m", 5400), ("2.5s", 2.5), ("300ms", 0.3), ("", None), ("5", None),
                                             ("-1s", None)])
def test_durations_are_those_of_go(text, found):
    assert seconds(text) == found
