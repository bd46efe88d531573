"""Questions about identity and rights."""

import pytest
from support.policy_world import World, thing

from timonier.api.errors import BadRequest
from timonier.api.kinds import BY_ID
from timonier.api.validation import validate
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.escalation import uncovered
from timonier.apiserver.auth.policy import objects
from timonier.apiserver.auth.rbac import Rule
from timonier.apiserver.auth.reviews import Reviews
from timonier.apiserver.request import User

V1 = "rbac.authorization.k8s.io/v1"
ANN = User("ann", "1", ("dev", "system:authenticated"), {"scope": ("a",)})
ROOT = User("root", groups=("system:masters", "system:authenticated"))


@pytest.fixture
def authoriser():
    return Authoriser(World(*objects(), thing(f"{V1}/RoleBinding", "b", "ns", roleRef={
        "kind": "ClusterRole", "name": "view"}, subjects=[{"kind": "User", "name": "ann"}])))


@pytest.fixture
def reviews(authoriser):
    return Reviews(None, authoriser)


def asks(**resource):
    return {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "ns"} | resource}}


async def test_who_am_i(reviews):
    answer = await reviews.answer("SelfSubjectReview", {"kind": "SelfSubjectReview"}, ANN)
    assert answer["status"]["userInfo"] == {
        "username": "ann", "uid": "1", "groups": ["dev", "system:authenticated"], "extra": {"scope": ["a"]}}


@pytest.mark.parametrize(("question", "allowed"), [
    (asks(), True), (asks(namespace="other"), False), (asks(verb="delete"), False), (asks(resource="secrets"), False),
    ({"spec": {"nonResourceAttributes": {"verb": "get", "path": "/version"}}}, True),
    ({"spec": {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}}, False)])
async def test_may_i(reviews, question, allowed):
    answer = await reviews.answer("SelfSubjectAccessReview", question, ANN)
    assert answer["status"]["allowed"] is allowed
    assert ("reason" in answer["status"]) is allowed


async def test_may_they(reviews):
    question = asks()
    question["spec"] |= {"user": "ann"}
    assert (await reviews.answer("SubjectAccessReview", question, ROOT))["status"]["allowed"]
    local = await reviews.answer("LocalSubjectAccessReview", question, ROOT, "ns")
    assert local["status"]["allowed"]


BOTH = asks()["spec"] | {"nonResourceAttributes": {"verb": "get", "path": "/"}}
NEITHER = "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes"
SELECTOR = "spec.resourceAttributes.fieldSelector"


@pytest.mark.parametrize(("kind", "question", "wrong"), [
    ("SelfSubjectAccessReview", {"spec": {}}, NEITHER),
    ("SelfSubjectAccessReview", {"spec": BOTH}, "cannot be specified in combination with resourceAttributes"),
    ("SelfSubjectAccessReview", asks() | {"metadata": {"name": "x"}}, "must be empty"),
    ("SelfSubjectAccessReview", asks(fieldSelector={}), f"{SELECTOR}.requirements: Required value: when {SELECTOR} is"),
    ("SelfSubjectAccessReview", asks(fieldSelector={"rawSelector": "a=b", "requirements": [{"key": "a"}]}),
     "may not specified at the same time as requirements"),
    ("SelfSubjectAccessReview", asks(labelSelector={"requirements": [{"key": "a", "operator": "In"}]}),
     "must be specified when `operator` is 'In' or 'NotIn'"),
    ("SubjectAccessReview", asks(), "at least one of user or group must be specified"),
    ("LocalSubjectAccessReview", {"spec": asks()["spec"] | {"user": "a"}, "metadata": {"namespace": "other"}},
     'spec.resourceAttributes.namespace: Invalid value: "ns": must match metadata.namespace'),
    ("LocalSubjectAccessReview", {"spec": {"user": "a", "nonResourceAttributes": {"verb": "get", "path": "/"}}},
     "disallowed on this kind of request")])
def test_questions_that_make_no_sense_are_told_so(kind, question, wrong):
    causes = validate(BY_ID[f"authorization.k8s.io/v1/{kind}"], question)
    assert wrong in "; ".join(f"{cause.field}: {cause.message}" for cause in causes)


async def test_what_is_selected_counts_where_an_authoriser_looks_at_it():
    pods = asks(fieldSelector={"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n1"]}]})
    node = User("system:node:n1", groups=("system:nodes",))
    reviews = Reviews(None, Authoriser(World(), ["Node"]))
    for question, allowed in ((pods, True), (asks(), False), (asks(fieldSelector={"rawSelector": "spec.nodeName=n1"}),
                                                             True)):
        assert (await reviews.answer("SelfSubjectAccessReview", question, node))["status"]["allowed"] is allowed
    unread = asks(labelSelector={"rawSelector": "a in ("}, fieldSelector={"requirements": [
        {"key": "a", "operator": "Exists"}]})
    status = (await reviews.answer("SelfSubjectAccessReview", unread, node))["status"]
    assert "labelSelector ignored due to parse error" in status["evaluationError"]
    assert "fieldSelector partially ignored" in status["evaluationError"]


async def test_rules_that_cannot_be_listed_are_told_of():
    for modes, user, words in ((["Node", "RBAC"], User("system:node:n", groups=("system:nodes",)), "node authorizer"),
                               ([Reviews(None, None), "RBAC"], ANN, "webhook authorizer")):
        answer = await Reviews(None, Authoriser(World(), modes)).answer(
            "SelfSubjectRulesReview", {"spec": {"namespace": "ns"}}, user)
        assert answer["status"]["incomplete"]
        assert answer["status"]["evaluationError"] == f"{words} does not support user rule resolution"


async def test_a_review_of_a_token_needs_one(reviews):
    with pytest.raises(BadRequest, match="token is required"):
        await reviews.answer("TokenReview", {"spec": {}}, ROOT)


async def test_what_may_i(reviews):
    answer = await reviews.answer("SelfSubjectRulesReview", {"spec": {"namespace": "ns"}}, ANN)
    status = answer["status"]
    assert any("pods" in rule["resources"] and rule["verbs"] == ["get", "list", "watch"]
               for rule in status["resourceRules"])
    assert any("/healthz" in rule["nonResourceURLs"] for rule in status["nonResourceRules"])
    assert status["incomplete"] is False
    elsewhere = await reviews.answer("SelfSubjectRulesReview", {"spec": {"namespace": "x"}}, ANN)
    assert not any("pods" in rule["resources"] for rule in elsewhere["status"]["resourceRules"])


def rule(verbs, resources, groups=("",), names=(), urls=()):
    return Rule(frozenset(verbs), frozenset(groups), frozenset(resources), frozenset(names), tuple(urls))


@pytest.mark.parametrize(("held", "wanted", "missing"), [
    ([rule(["*"], ["*"], ["*"])], rule(["get"], ["pods"]), 0),
    ([rule(["get"], ["pods"])], rule(["get", "list"], ["pods", "secrets"]), 3),
    ([rule(["get"], ["pods"]), rule(["list"], ["pods"])], rule(["get", "list"], ["pods"]), 0),
    ([rule(["get"], ["pods"], names=["a"])], rule(["get"], ["pods"]), 1),
    ([rule(["get"], ["pods"])], rule(["get"], ["pods"], names=["a", "b"]), 0),
    ([rule(["get"], ["*/scale"])], rule(["get"], ["deployments/scale"]), 0),
    ([rule(["get"], ["pods"])], rule(["*"], ["pods"]), 1),
    ([rule(["get"], [], urls=["/api/*"])], rule(["get"], [], urls=["/api/v1", "/apis"]), 1)])
def test_what_is_not_held_is_named_part_by_part(held, wanted, missing):
    assert len(list(uncovered(held, [wanted]))) == missing
