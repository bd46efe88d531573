"""Service-account tokens: only ours, only now, only for us, only while what they name exists."""

import base64
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.policy_world import World, thing

from timonier.api.errors import BadRequest, Conflict, Invalid, NotFound, Unauthorized
from timonier.api.times import rfc3339
from timonier.apiserver.auth.accounts import AccountTokens
from timonier.apiserver.auth.authenticate import NOBODY, Authenticator
from timonier.apiserver.auth.bearers import Bearers
from timonier.apiserver.auth.identity import Recent
from timonier.apiserver.auth.tokens import new_claims
from timonier.apiserver.request import Request, parse
from timonier.apiserver.subresources.token import TokenIssuer
from timonier.kit.clock import FakeClock
from timonier.kit.jws import Keyring

ISSUER = "https://kubernetes.default.svc.cluster.local"


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


KEYS = {"RS256": Keyring.from_pem(pem(rsa.generate_private_key(65537, 2048))),
        "ES256": Keyring.from_pem(pem(ec.generate_private_key(ec.SECP256R1())))}


@pytest.fixture(params=list(KEYS))
def keys(request):
    return KEYS[request.param]


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def world():
    return World(thing("v1/ServiceAccount", "builder", "ci"), thing("v1/ServiceAccount", "other", "ci"),
                 thing("v1/Node", "n1"),
                 thing("v1/Pod", "web", "ci", spec={"serviceAccountName": "builder", "nodeName": "n1"}),
                 thing("v1/Secret", "old", "ci"))


@pytest.fixture
def issuer(world, keys, clock):
    return TokenIssuer(world, keys, ISSUER, [ISSUER], clock)


@pytest.fixture
def authenticator(world, keys, clock):
    return door(world, keys, clock)


def door(world, keys, clock):
    return Authenticator(clock, Bearers([AccountTokens(world, keys, [ISSUER], clock)]), [ISSUER])


def asking(token="", **rest):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return Request("GET", "/api/v1/pods", {}, headers, parse("GET", "/api/v1/pods", {}), **rest)


async def token_for(issuer, account="builder", **spec):
    made = await issuer.issue({"spec": spec}, "ci", account)
    return made["status"]["token"]


POD = {"kind": "Pod", "apiVersion": "v1", "name": "web"}


async def test_a_token_stands_for_its_service_account(issuer, authenticator):
    user = await authenticator.authenticate(asking(await token_for(issuer)))
    assert user.name == "system:serviceaccount:ci:builder"
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated")
    assert user.uid == "uid-of-builder"


async def test_a_pods_token_tells_pod_and_node(issuer, authenticator):
    user = await authenticator.authenticate(asking(await token_for(issuer, boundObjectRef=POD)))
    assert user.extra["authentication.kubernetes.io/pod-name"] == ("web",)
    assert user.extra["authentication.kubernetes.io/node-name"] == ("n1",)
    assert user.extra["authentication.kubernetes.io/node-uid"] == ("uid-of-n1",)


async def test_the_answer_tells_when_the_token_ends(issuer, clock):
    made = await issuer.issue({"spec": {"expirationSeconds": 900}}, "ci", "builder")
    assert made["status"]["expirationTimestamp"] == rfc3339(clock.now() + 900)
    assert made["spec"]["audiences"] == [ISSUER]


async def test_a_token_ends_even_where_it_was_used_before(issuer, authenticator, clock):
    token = await token_for(issuer, expirationSeconds=600)
    await authenticator.authenticate(asking(token))
    await clock.advance(601)
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(asking(token))


async def test_a_token_for_another_audience_is_refused(issuer, authenticator):
    token = await token_for(issuer, audiences=["vault"])
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(asking(token))
    assert (await authenticator.bearers.identify(token, ["vault", "x"])).audiences == ("vault",)


@pytest.mark.parametrize(("kind_id", "name"), [
    pytest.param("v1/Pod", "web", id="pod"), pytest.param("v1/ServiceAccount", "builder", id="account")])
async def test_a_token_dies_with_what_it_names(issuer, authenticator, world, kind_id, name):
    token = await token_for(issuer, boundObjectRef=POD)
    await authenticator.authenticate(asking(token))
    world.remove(kind_id, "ci", name)
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(asking(token))


async def test_a_new_pod_of_the_same_name_does_not_revive_a_token(issuer, authenticator, world):
    token = await token_for(issuer, boundObjectRef=POD)
    world.add(thing("v1/Pod", "web", "ci", spec={}, metadata={"uid": "another"}))
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(asking(token))


async def test_a_terminating_pods_token_holds_a_minute_longer_than_its_grace(issuer, authenticator, world, clock):
    token = await token_for(issuer, boundObjectRef=POD)
    world.add(thing("v1/Pod", "web", "ci", spec={}, metadata={"uid": "uid-of-web",
                                                             "deletionTimestamp": rfc3339(clock.now() + 30)}))
    await clock.advance(80)
    await authenticator.authenticate(asking(token))
    await clock.advance(20)
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(asking(token))


def segments(token):
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def packed(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forgeries(token):
    """A real token, altered in every way that was ever tried on one."""
    head, body = segments(token)
    signature = token.rsplit(".", 1)[1]
    yield f"{packed(head)}.{packed(body | {'sub': 'system:serviceaccount:ci:other'})}.{signature}"
    yield f"{packed(head | {'alg': 'none'})}.{packed(body)}."
    yield f"{packed(head | {'alg': 'HS256'})}.{packed(body)}.{signature}"
    yield f"{packed(head | {'kid': 'unknown'})}.{packed(body)}.{signature}"
    yield f"{packed({'alg': head['alg']})}.{packed(body)}.{signature}"
    yield f"{packed(head)}.{packed(body)}.{signature[:-4]}AAAA"
    yield from (token[:-1], token + "x", "a.b.c", "....", "x", "é", "a" * 100_000, packed(["list"]) + ".e30.e30")


async def test_forged_tokens_are_refused(issuer, authenticator):
    for forged in forgeries(await token_for(issuer)):
        with pytest.raises(Unauthorized, match=r"^Unauthorized$"):
            await authenticator.authenticate(asking(forged))


async def test_a_token_signed_by_another_key_is_refused(world, clock, keys, authenticator):
    other = Keyring.from_pem(pem(ec.generate_private_key(ec.SECP256R1())))
    for liar in (other, Keyring(replace(other.key, kid=keys.key.kid), {})):
        token = liar.sign(new_claims("ci", "builder", "uid-of-builder", audiences=[ISSUER], seconds=600,
                                     now=clock.now()).to_dict(ISSUER))
        with pytest.raises(Unauthorized):
            await authenticator.authenticate(asking(token))


async def test_another_issuers_token_is_refused_though_the_key_is_ours(keys, authenticator, clock):
    claims = new_claims("ci", "builder", "uid-of-builder", audiences=[ISSUER], seconds=600, now=clock.now())
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(asking(keys.sign(claims.to_dict("https://elsewhere"))))


async def test_a_rotated_key_still_verifies(world, clock):
    old, new = (pem(ec.generate_private_key(ec.SECP256R1())) for _ in range(2))
    token = await token_for(TokenIssuer(world, Keyring.from_pem(old), ISSUER, [ISSUER], clock))
    keys = Keyring.from_pem(new, old)
    authenticator = door(world, keys, clock)
    assert (await authenticator.authenticate(asking(token))).name == "system:serviceaccount:ci:builder"
    assert [key["kid"] for key in keys.jwks()["keys"]] == [keys.key.kid, Keyring.from_pem(old).key.kid]


def test_published_keys_hold_nothing_private(keys):
    for key in keys.jwks()["keys"]:
        assert set(key) in ({"use", "kty", "kid", "alg", "n", "e"}, {"use", "kty", "kid", "alg", "crv", "x", "y"})


async def test_who_shows_nothing_is_anonymous(authenticator):
    assert await authenticator.authenticate(asking()) == NOBODY
    basic = asking()
    basic.headers["authorization"] = "Basic eDp5"
    assert await authenticator.authenticate(basic) == NOBODY


@pytest.mark.parametrize(("seconds", "message"), [
    (599, "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes"),
    (-1, "spec.expirationSeconds: Invalid value: -1: may not specify a duration less than 10 minutes"),
    (1 << 33, "spec.expirationSeconds: Invalid value: 8589934592: may not specify a duration larger than 2^32 "
              "seconds")])
async def test_lifetimes_have_limits(issuer, seconds, message):
    with pytest.raises(Invalid) as caught:
        await issuer.issue({"spec": {"expirationSeconds": seconds}}, "ci", "builder")
    assert caught.value.message == f'TokenRequest.authentication.k8s.io "" is invalid: {message}'


@pytest.mark.parametrize(("account", "ref", "error"), [
    pytest.param("nobody", None, NotFound, id="no-such-account"),
    pytest.param("builder", POD | {"name": "gone"}, NotFound, id="no-such-pod"),
    pytest.param("builder", POD | {"uid": "x"}, Conflict, id="pod-was-replaced"),
    pytest.param("other", POD, BadRequest, id="pod-of-another-account"),
    pytest.param("builder", {"kind": "ConfigMap", "apiVersion": "v1", "name": "x"}, BadRequest, id="not-bindable")])
async def test_tokens_are_bound_to_what_exists_and_fits(issuer, account, ref, error):
    with pytest.raises(error):
        await issuer.issue({"spec": {"boundObjectRef": ref}}, "ci", account)


def test_only_so_many_credentials_are_remembered():
    recent = Recent(2)
    for credential in (b"a", b"b", b"a", b"c"):
        if recent.get(credential) is None:
            recent.put(credential, credential)
    assert [recent.get(credential) for credential in (b"a", b"b", b"c")] == [b"a", None, b"c"]
