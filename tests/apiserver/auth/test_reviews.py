"""Questions about rights, and acting as another."""

import pytest
from support.policy_world import World, thing

from timonier.api.errors import BadRequest, Forbidden, Invalid
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.escalation import uncovered
from timonier.apiserver.auth.impersonate import become, impersonate, wish
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
    with pytest.raises(Invalid, match="at least one of user or group must be specified"):
        await reviews.answer("SubjectAccessReview", asks(), ROOT)


async def test_a_review_asks_about_one_thing(reviews):
    both = asks()
    both["spec"]["nonResourceAttributes"] = {"verb": "get", "path": "/"}
    for question in (both, {}, {"spec": None}):
        with pytest.raises(Invalid):
            await reviews.answer("SelfSubjectAccessReview", question, ANN)
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


async def test_acting_as_another_needs_the_right_to(authoriser):
    headers = {"impersonate-user": ["bob"], "impersonate-group": ["x", "y"], "impersonate-extra-a%2fb": ["1", "2"],
               "impersonate-uid": ["7"], "accept": ["*/*"]}
    user = await impersonate(ROOT, headers, authoriser)
    assert user == User("bob", "7", ("x", "y", "system:authenticated"), {"a/b": ("1", "2")})
    with pytest.raises(Forbidden) as caught:
        await impersonate(ANN, headers, authoriser)
    assert caught.value.message == \
        'users "bob" is forbidden: User "ann" cannot impersonate resource "users" in API group "" at the cluster scope'
    assert await impersonate(ANN, {"accept": ["*/*"]}, authoriser) == ANN


def test_an_impersonated_account_is_in_its_groups():
    assert become(wish({"impersonate-user": ["system:serviceaccount:ns:sa"]})).groups == (
        "system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")
    assert become(wish({"impersonate-user": ["system:anonymous"]})).groups == ("system:unauthenticated",)


def test_groups_without_a_user_are_half_a_wish():
    with pytest.raises(BadRequest, match="without impersonating a user"):
        wish({"impersonate-group": ["system:masters"]})


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
