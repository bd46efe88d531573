"""Acting as another: who may, by which mode, and what the request becomes."""

import pytest
from support.policy_world import World, thing

from timonier.api.errors import BadRequest, Forbidden
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.impersonate import Impersonation, become, wish
from timonier.apiserver.auth.policy import objects
from timonier.apiserver.request import Request, User, parse

V1 = "rbac.authorization.k8s.io/v1"
ANN = User("ann", groups=("system:authenticated",))
ROOT = User("root", groups=("system:masters", "system:authenticated"))
SECRETS = "/api/v1/namespaces/ns/secrets"
BOB = (("impersonate-user", "bob"),)
NODE = "system:node:n1"


def asking(user, *headers, path="/api/v1/namespaces/ns/pods"):
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return Request("GET", path, {}, dict(headers), parse("GET", path, {}), raw, user=user)


def rule(verb, group, resource, *names):
    return {"verbs": verb.split(), "apiGroups": [group], "resources": [resource],
            **({"resourceNames": list(names)} if names else {})}


def allowing(*rules, user="ann"):
    """A cluster in which a user has some rights everywhere."""
    return Impersonation(Authoriser(World(
        *objects(), thing(f"{V1}/ClusterRole", "r", rules=list(rules)),
        thing(f"{V1}/ClusterRoleBinding", "b", roleRef={"kind": "ClusterRole", "name": "r"},
              subjects=[{"kind": "User", "name": user}]))))


async def acting(impersonation, request):
    await impersonation.act(request)
    return request.user


async def test_who_may_do_everything_may_be_anybody():
    request = asking(ROOT, *BOB, ("impersonate-group", "x,1"), ("impersonate-group", "y"),
                     ("impersonate-extra-a%2fb", "1"), ("impersonate-extra-a%2fb", "2"), ("impersonate-uid", "7"))
    user = await acting(allowing(), request)
    assert user == User("bob", "7", ("x,1", "y", "system:authenticated"), {"a/b": ("1", "2")})
    assert not [header for header in request.headers if header.startswith("impersonate-")]


async def test_who_wishes_nothing_stays_who_they_are():
    request = asking(ANN, ("accept", "*/*"))
    assert await acting(allowing(), request) == ANN


async def test_whoever_may_impersonate_may_do_all_that_the_other_may():
    impersonation = allowing(rule("impersonate", "", "users", "bob"))
    assert (await acting(impersonation, asking(ANN, *BOB, path=SECRETS))).name == "bob"
    with pytest.raises(Forbidden):
        await impersonation.act(asking(ANN, ("impersonate-user", "carl")))


async def test_a_refusal_names_what_the_first_mode_lacks():
    with pytest.raises(Forbidden) as caught:
        await allowing().act(asking(ANN, *BOB))
    assert caught.value.message == (
        'pods is forbidden: User "ann" cannot impersonate-on:user-info:list resource "pods" in API group "" in the '
        'namespace "ns"')


async def test_a_constrained_right_is_for_what_it_names_alone():
    impersonation = allowing(rule("impersonate:user-info", "authentication.k8s.io", "users", "bob"),
                             rule("impersonate-on:user-info:list", "", "pods"))
    assert (await acting(impersonation, asking(ANN, *BOB))).groups == ("system:authenticated",)
    with pytest.raises(Forbidden, match="impersonate-on:user-info:list"):
        await impersonation.act(asking(ANN, *BOB, path=SECRETS))


@pytest.mark.parametrize(("group", "why"), [("system:masters", "the system:masters group"),
                                            ("", "the empty string group")])
async def test_some_groups_are_nobodys_to_take_in_a_constrained_way(group, why):
    impersonation = allowing(rule("impersonate:user-info", "authentication.k8s.io", "*"),
                             rule("impersonate-on:user-info:list", "", "pods"))
    with pytest.raises(Forbidden, match=f"impersonating {why} is not allowed"):
        await impersonation.act(asking(ANN, *BOB, ("impersonate-group", group)))


@pytest.mark.parametrize(("header", "value", "why"), [
    ("impersonate-extra-plain", "1", "an invalid key"), ("impersonate-extra-a.b%2fC", "1", "a non-lowercase key"),
    ("impersonate-extra-a.b%2fc", "", "the empty string value")])
async def test_extra_attributes_of_a_constrained_wish_are_checked(header, value, why):
    impersonation = allowing(rule("impersonate:user-info", "authentication.k8s.io", "*"),
                             rule("impersonate-on:user-info:list", "", "pods"))
    with pytest.raises(Forbidden, match=f"impersonating {why}"):
        await impersonation.act(asking(ANN, *BOB, (header, value)))


async def test_a_node_is_impersonated_with_the_group_of_nodes():
    impersonation = allowing(rule("impersonate:arbitrary-node", "authentication.k8s.io", "nodes", "n1"),
                             rule("impersonate-on:arbitrary-node:list", "", "pods"))
    assert (await acting(impersonation, asking(ANN, ("impersonate-user", NODE)))).groups == (
        "system:nodes", "system:authenticated")
    with pytest.raises(Forbidden):
        await impersonation.act(asking(ANN, ("impersonate-user", "system:node:n2")))


@pytest.mark.parametrize(("runs_on", "allowed"), [("n1", True), ("n2", False)])
async def test_an_account_may_be_the_node_that_its_pod_runs_on(runs_on, allowed):
    account = User("system:serviceaccount:ns:agent", groups=("system:authenticated",),
                   extra={"authentication.kubernetes.io/node-name": (runs_on,)})
    impersonation = allowing(rule("impersonate:associated-node", "authentication.k8s.io", "nodes"),
                             rule("impersonate-on:associated-node:list", "", "pods"), user=account.name)
    if allowed:
        assert (await acting(impersonation, asking(account, ("impersonate-user", NODE)))).name == NODE
    else:
        with pytest.raises(Forbidden):
            await impersonation.act(asking(account, ("impersonate-user", NODE)))


async def test_the_mode_by_which_one_got_through_is_tried_first():
    impersonation = allowing(rule("impersonate", "", "users", "bob"))
    await impersonation.act(asking(ANN, *BOB))
    with pytest.raises(Forbidden, match="cannot impersonate resource"):
        await impersonation.act(asking(ANN, ("impersonate-user", "carl")))


def test_an_impersonated_account_is_in_its_groups():
    assert become(wish(asking(ANN, ("impersonate-user", "system:serviceaccount:ns:sa")))).groups == (
        "system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")
    assert become(wish(asking(ANN, ("impersonate-user", "system:anonymous")))).groups == ("system:unauthenticated",)


def test_groups_without_a_user_are_half_a_wish():
    with pytest.raises(BadRequest, match="without impersonating a user name"):
        wish(asking(ANN, ("impersonate-group", "system:masters")))
