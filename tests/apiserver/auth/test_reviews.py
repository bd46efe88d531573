"""Questions about identity and rights."""

import pytest
from support.policy_world import World, thing

from timonier.api.errors import BadRequest, Invalid
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
    with pytest.raises(Invalid, match=r"must match metadata\.namespace"):
        await reviews.answer("LocalSubjectAccessReview", question, ROOT, "other")


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
