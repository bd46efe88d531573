"""Tokens of other issuers: who they make, which do not hold, how keys come and go, and what a configuration may say."""

import pytest
import yaml
from support.callee import issuer, new_keys

from timonier.apiserver.auth.files import Strict
from timonier.apiserver.auth.identity import BadToken
from timonier.apiserver.auth.oidc import configuration
from timonier.apiserver.auth.oidc.keys import OLDEST, PAUSE, IssuerKeys
from timonier.apiserver.auth.oidc.tokens import OidcTokens
from timonier.kit.clock import FakeClock
from timonier.kit.fatal import CannotRun

OURS = "https://kubernetes.default.svc"
PLAIN = {"username": {"claim": "sub", "prefix": "oidc:"}}


def written(folder, jwt, **more):
    file = folder / "authentication.yaml"
    file.write_text(yaml.safe_dump({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration",
                                    "jwt": jwt, **more}))
    return file


class Door:
    """The authenticator of one issuer, with a configuration that a test chooses."""

    def __init__(self, folder, found):
        self.folder, self.issuer, self.clock = folder, found, FakeClock()

    def configure(self, mappings=PLAIN, **more):
        audiences = more.pop("audiences", ["timonier"])
        part = {"issuer": {"url": self.issuer.url, "certificateAuthority": self.issuer.authority,
                           "audiences": audiences, "audienceMatchPolicy": "MatchAny"},
                "claimMappings": mappings, **more}
        (config,) = configuration.from_file(written(self.folder, [part]), [OURS]).jwt
        self.tokens = OidcTokens(config, IssuerKeys(config.issuer, self.clock), [OURS], self.clock)
        return self

    async def user(self, **claims):
        return (await self.tokens.identify(self.issuer.token(self.clock.now(), **claims), [OURS])).user

    async def refused(self, why, **claims):
        with pytest.raises(BadToken, match=why):
            await self.user(**claims)


@pytest.fixture
async def door(tmp_path):
    async with issuer(tmp_path) as found:
        made = Door(tmp_path, found)
        yield made
        await made.tokens.keys.connections.close()


async def test_a_token_makes_the_user_that_its_claims_name(door):
    door.configure({"username": {"claim": "sub", "prefix": "oidc:"}, "groups": {"claim": "teams", "prefix": "t:"},
                    "uid": {"claim": "number"}})
    user = await door.user(teams=["a", "b"], number="7", jti="x")
    assert (user.name, user.uid, user.groups) == ("oidc:ann", "7", ("t:a", "t:b", "system:authenticated"))
    assert user.extra == {"authentication.kubernetes.io/credential-id": ("JTI=x",)}
    assert (await door.user(teams="one", number="7")).groups == ("t:one", "system:authenticated")


async def test_expressions_make_users_of_claims(door):
    door.configure({
        "username": {"expression": "claims.email.split('@')[0]"},
        "groups": {"expression": "claims.roles.filter(r, r != 'guest').map(r, 'r:' + r)"},
        "uid": {"expression": "claims.sub + '!'"},
        "extra": [{"key": "example.com/place", "valueExpression": "claims.foo__dot__bar.place"},
                  {"key": "example.com/none", "valueExpression": "''"}]},
        claimValidationRules=[{"expression": "claims.email_verified == true", "message": "verify it"}],
        userValidationRules=[{"expression": "!user.username.startsWith('system:')", "message": "reserved"}])
    claims = {"email": "bob@example.com", "email_verified": True, "roles": ["dev", "guest"],
              "foo.bar": {"place": ["here", ""]}}
    user = await door.user(**claims)
    assert (user.name, user.uid, user.groups) == ("bob", "ann!", ("r:dev", "system:authenticated"))
    assert user.extra == {"example.com/place": ("here",)}
    await door.refused("verify it", **claims | {"email_verified": False})
    await door.refused("reserved", **claims | {"email": "system:x@y"})


@pytest.mark.parametrize(("claims", "why"), [
    ({"aud": "other"}, r'expected audience in \["timonier"\] got \["other"\]'), ({"aud": None}, "expected audience"),
    ({"exp": 1}, "token is expired"), ({"exp": "soon"}, "token is expired"), ({"nbf": 1 << 40}, "before the nbf"),
    ({"sub": 7}, "it is not a string"), ({"sub": None}, "it is not a string")])
async def test_tokens_that_do_not_hold_are_refused(door, claims, why):
    await door.configure().refused(why, **claims)


async def test_who_signs_with_another_key_is_not_the_issuer(door):
    door.configure()
    await door.user()
    real, door.issuer.ring = door.issuer.ring, new_keys()
    forged = door.issuer.token(door.clock.now(), sub="eve")
    door.issuer.ring = real
    for token in (forged, f"{forged.rpartition('.')[0]}.", f"{forged[:-3]}AAA"):
        with pytest.raises(BadToken):
            await door.tokens.identify(token, [OURS])


async def test_a_token_of_nobody_we_know_is_left_to_others(door):
    door.configure()
    assert await door.tokens.identify(door.issuer.token(door.clock.now(), iss="https://else"), [OURS]) is None
    assert await door.tokens.identify("no token", [OURS]) is None
    assert await door.tokens.identify(door.issuer.token(door.clock.now()), ["vault"]) is None


async def test_new_keys_are_fetched_when_a_token_names_one_but_not_at_every_token(door):
    door.configure()
    await door.user()
    door.issuer.ring = new_keys()
    asked = len(door.issuer.callee.asked)
    for _ in range(3):
        await door.refused("failed to verify signature")
    assert len(door.issuer.callee.asked) == asked
    await door.clock.advance(PAUSE)
    assert (await door.user()).name == "oidc:ann"


async def test_a_key_that_was_taken_back_is_forgotten(door):
    door.configure()
    await door.user()
    old, door.issuer.ring = door.issuer.ring, new_keys()
    await door.clock.advance(OLDEST + 1)
    door.issuer.ring, current = old, door.issuer.ring
    token = door.issuer.token(door.clock.now())
    door.issuer.ring = current
    with pytest.raises(BadToken, match="failed to verify signature"):
        await door.tokens.identify(token, [OURS])


async def test_an_issuer_that_is_not_there_keeps_nobody_waiting_twice(door):
    door.configure()
    token, down = door.issuer.token(door.clock.now()), [503]
    answer, door.issuer.callee.answer = door.issuer.callee.answer, lambda path, sent: down[0]
    for _ in range(2):
        with pytest.raises(BadToken, match="authenticator not initialized"):
            await door.tokens.identify(token, [OURS])
    assert len(door.issuer.callee.asked) == 1
    door.issuer.callee.answer = answer
    await door.clock.advance(PAUSE)
    assert (await door.tokens.identify(token, [OURS])).user.name == "oidc:ann"


async def test_a_verified_token_is_remembered_until_it_ends(door):
    door.configure()
    token = door.issuer.token(door.clock.now(), exp=int(door.clock.now()) + 5)
    await door.tokens.identify(token, [OURS])
    await door.clock.advance(6)
    with pytest.raises(BadToken, match="expired"):
        await door.tokens.identify(token, [OURS])


async def test_groups_may_be_asked_for_elsewhere(door):
    door.configure(PLAIN | {"groups": {"claim": "groups", "prefix": ""}})
    answer, given = door.issuer.callee.answer, {}
    door.issuer.callee.answer = lambda path, sent: given[path] if path in given else answer(path, sent)

    def refers(name="groups", **source):
        return {"_claim_names": {name: "a"}, "_claim_sources": {"a": source}}

    def there(**claims):
        return door.issuer.token(door.clock.now(), **claims).encode()

    given["/groups"] = there(groups=["far", "away"])
    place = f"{door.issuer.url}/groups"
    assert (await door.user(**refers(endpoint=place, access_token="key"))).groups == (
        "far", "away", "system:authenticated")
    assert any(headers.get("authorization") == "Bearer key" for headers in door.issuer.callee.headers)
    assert (await door.user(groups=["near"], **refers(endpoint=place))).groups == ("near", "system:authenticated")
    assert (await door.user(**refers("other", endpoint=place))).groups == ("system:authenticated",)
    for broken, why in ((there(), "did not contain claim"), (there(aud="other", groups=["x"]), "expected audience"),
                        (b"nonsense", "malformed jwt"), (503, "answered 503"),
                        (there(exp=1, groups=["x"]), "token is expired")):
        given["/groups"] = broken
        await door.refused(why, jti=why, **refers(endpoint=place))
    await door.refused("is not an https URL", **refers(endpoint="http://127.0.0.1"))
    await door.refused("does not name the source", _claim_names={"groups": "b"}, _claim_sources={})


ISSUER = {"url": "https://a.example", "audiences": ["x"]}


@pytest.mark.parametrize(("part", "wrong"), [
    ({"issuer": {"audiences": ["x"]}}, "jwt[0].issuer.url: Required value"),
    ({"issuer": ISSUER | {"url": "http://a"}}, "URL scheme must be https"),
    ({"issuer": ISSUER | {"url": OURS}}, "URL must not overlap with disallowed issuers"),
    ({"issuer": ISSUER | {"url": "https://u:p@a?b#c"}}, "URL must not contain a username or password"),
    ({"issuer": ISSUER | {"discoveryURL": "https://a.example/"}}, "discoveryURL must be different from URL"),
    ({"issuer": ISSUER | {"audiences": []}}, "jwt[0].issuer.audiences: Required value"),
    ({"issuer": ISSUER | {"audiences": ["a", "b"]}}, "audienceMatchPolicy must be MatchAny for multiple audiences"),
    ({"issuer": ISSUER | {"egressSelectorType": "cluster"}}, "egress selectors are not supported"),
    ({"issuer": ISSUER | {"nonsense": 1}}, "unknown field `nonsense`"),
    ({"claimMappings": {}}, "jwt[0].claimMappings.username: Required value: claim or expression is required"),
    ({"claimMappings": {"username": {"claim": "sub"}}}, "prefix is required when claim is set"),
    ({"claimMappings": {"username": {"claim": "a", "expression": "b"}}}, "claim and expression can't both be set"),
    ({"claimMappings": {"username": {"expression": "claims."}}}, "compilation failed: ERROR"),
    ({"claimMappings": {"username": {"expression": "1"}}}, "must evaluate to string"),
    ({"claimMappings": {"username": {"expression": "claims.email"}}}, "claims.email_verified must be used"),
    ({"claimMappings": PLAIN | {"extra": [{"key": "a", "valueExpression": "'x'"}]}}, "must be a domain-prefixed path"),
    ({"claimMappings": PLAIN | {"extra": [{"key": "x.k8s.io/a", "valueExpression": "'x'"}]}}, "are reserved for"),
    ({"claimMappings": PLAIN | {"extra": [{"key": "a.b/C", "valueExpression": "'x'"}]}}, "must be lowercase"),
    ({"claimValidationRules": [{"claim": "a", "message": "m"}]}, "may not be specified when claim is set"),
    ({"claimValidationRules": [{}]}, "claim or expression is required"),
    ({"claimValidationRules": [{"expression": "'x'"}]}, "must evaluate to bool"),
    ({"userValidationRules": [{"expression": "user.nothing"}]}, "undefined field 'nothing'"),
    ({"userValidationRules": [{}]}, "jwt[0].userValidationRules[0].expression: Required value")])
def test_what_is_wrong_with_a_configuration_is_told(tmp_path, part, wrong):
    with pytest.raises(CannotRun) as caught:
        configuration.from_file(written(tmp_path, [{"issuer": ISSUER, "claimMappings": PLAIN} | part]), [OURS])
    assert wrong in str(caught.value)


def test_issuers_are_named_once_and_conditions_need_anonymous_requests(tmp_path):
    with pytest.raises(CannotRun, match=r"jwt\[1\].issuer.url: Duplicate value"):
        configuration.from_file(written(tmp_path, [{"issuer": ISSUER, "claimMappings": PLAIN}] * 2), [OURS])
    with pytest.raises(CannotRun, match="enabled should be set to true when conditions are defined"):
        configuration.from_file(written(tmp_path, [], anonymous={"enabled": False, "conditions": [{"path": "/livez"}]}),
                                [OURS])
    for content in ("{", "[]", "kind: Other"):
        (tmp_path / "authentication.yaml").write_text(content)
        with pytest.raises(CannotRun):
            configuration.from_file(tmp_path / "authentication.yaml", [OURS])
    assert issubclass(configuration.Configuration, Strict)
