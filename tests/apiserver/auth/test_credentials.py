"""Credentials of every sort at a whole server: who they make, when they hold no longer, and what is kept of them."""

import base64
from types import SimpleNamespace

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from support.api_server import running
from support.callee import issuer
from support.certificates import authority, make

from timonier.api.times import rfc3339
from timonier.apiserver.access import access
from timonier.apiserver.auth.bootstrap import bootstrap
from timonier.apiserver.auth.reloading import EVERY, follow
from timonier.apiserver.request import Attributes, User
from timonier.controllers.tokens.accounts import claims
from timonier.kit.clock import FakeClock
from timonier.kit.trust import Authorities

WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
SECRETS = "/api/v1/namespaces/kube-system/secrets"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


class Door:
    """A server with an authenticator of its own settings."""

    def __init__(self, cluster):
        self.cluster, self.everybody = cluster, cluster.server.access

    def use(self, **settings):
        from dataclasses import replace

        cluster = self.cluster
        self.made = access(replace(cluster.server.settings, **settings), cluster.registry, cluster.clock, Authorities())
        return self

    async def who(self, token="", **headers):
        """Name and groups of a request's user, or the status that it is refused with."""
        await self.cluster.settle()
        self.cluster.server.access = self.made
        if token:
            headers["authorization"] = f"Bearer {token}"
        try:
            reply = await self.cluster.post(WHO, {}, **headers)
        finally:
            self.cluster.server.access = self.everybody
        if reply.code == 201:
            info = reply.json["status"]["userInfo"]
            return info["username"], info["groups"]
        return reply.code if reply.code == 401 else reply.message.split('"')[1]

    async def close(self):
        await self.made.close()


@pytest.fixture
async def door(tmp_path):
    async with running(tmp_path) as cluster:
        await bootstrap(cluster.registry)
        made = Door(cluster).use()
        yield made
        await made.close()


async def test_tokens_of_a_file_stand_for_its_users(door, tmp_path):
    file = tmp_path / "tokens.csv"
    file.write_text('abc,ann,1,"dev,ops"\n\nxyz,bob,2\n,nobody,3\n')
    door.use(token_auth_file=file)
    assert await door.who("abc") == ("ann", ["dev", "ops", "system:authenticated"])
    assert await door.who("xyz") == ("bob", ["system:authenticated"])
    assert await door.who("") == "system:anonymous"
    assert await door.who("abcd") == 401


def token(expiration=None, **data):
    texts = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true",
             "auth-extra-groups": "system:bootstrappers:a"} | data
    texts |= {"expiration": expiration} if expiration else {}
    return {"metadata": {"name": "bootstrap-token-abcdef"}, "type": "bootstrap.kubernetes.io/token",
            "data": {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}}


async def test_a_bootstrap_token_holds_as_long_as_its_secret_says(door):
    until = rfc3339(door.cluster.clock.now() + 60)
    await door.cluster.post(SECRETS, token(until))
    assert await door.who("abcdef.0123456789abcdef") == ("system:bootstrap:abcdef", [
        "system:bootstrappers", "system:bootstrappers:a", "system:authenticated"])
    assert await door.who("abcdef.0123456789abcdeg") == 401
    door.use(enable_bootstrap_token_auth=False)
    assert await door.who("abcdef.0123456789abcdef") == 401
    door.use()
    await door.cluster.clock.advance(61)
    assert await door.who("abcdef.0123456789abcdef") == 401


@pytest.mark.parametrize("data", [{"usage-bootstrap-authentication": "false"}, {"token-id": "ghijkl"},
                                  {"auth-extra-groups": "system:masters"}, {"token-secret": ""}])
async def test_a_secret_that_is_no_token_for_this_lets_nobody_in(door, data):
    await door.cluster.post(SECRETS, token(**data))
    assert await door.who("abcdef.0123456789abcdef") == 401


async def legacy(door, **labels):
    """A token of a Secret, as the tokens controller makes it."""
    namespace = "/api/v1/namespaces/default"
    account = (await door.cluster.post(f"{namespace}/serviceaccounts", {"metadata": {"name": "robot"}})).json
    meta = SimpleNamespace(**{field: account["metadata"][field] for field in ("name", "namespace", "uid")})
    signed = door.made.keyring.sign(claims(SimpleNamespace(metadata=meta), "kept"))
    await door.cluster.post(f"{namespace}/secrets", {
        "metadata": {"name": "kept", "labels": labels, "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "type": "kubernetes.io/service-account-token",
        "data": {"token": base64.b64encode(signed.encode()).decode()}})
    return signed


async def test_a_secrets_token_holds_while_the_secret_does_and_its_use_is_kept(door):
    signed = await legacy(door)
    assert (await door.who(signed))[0] == "system:serviceaccount:default:robot"
    await door.cluster.settle()
    kept = (await door.cluster.get("/api/v1/namespaces/default/secrets/kept")).json
    assert kept["metadata"]["labels"] == {"kubernetes.io/legacy-token-last-used": "2023-11-14"}
    revision = kept["metadata"]["resourceVersion"]
    await door.who(signed)
    again = (await door.cluster.get("/api/v1/namespaces/default/secrets/kept")).json
    assert again["metadata"]["resourceVersion"] == revision
    await door.cluster.delete("/api/v1/namespaces/default/secrets/kept")
    assert await door.who(signed) == 401


async def test_a_secrets_token_that_was_marked_invalid_says_so(door):
    signed = await legacy(door, **{"kubernetes.io/legacy-token-invalid-since": "2023-01-01"})
    assert await door.who(signed) == 401
    review = (await door.cluster.post(REVIEWS, {"spec": {"token": signed}})).json["status"]
    assert "has been marked invalid. Use tokens from the TokenRequest API" in review["error"]


async def test_a_mounted_token_holds_for_a_year_and_who_needs_that_is_noted(door):
    pods = "/api/v1/namespaces/default/pods"
    await door.cluster.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "robot"}})
    await door.cluster.post(pods, {"metadata": {"name": "web"}, "spec": {
        "serviceAccountName": "robot", "containers": [{"name": "a", "image": "b"}]}})
    asked = {"spec": {"expirationSeconds": 3607, "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "web"}}}
    path = "/api/v1/namespaces/default/serviceaccounts/robot/token"
    made = (await door.cluster.post(path, asked)).json["status"]
    assert made["expirationTimestamp"] == rfc3339(door.cluster.clock.now() + 3607)
    await door.cluster.clock.advance(30 * 24 * 3600)
    found = await door.made.authenticator.bearers.identify(made["token"], door.made.authenticator.audiences)
    assert "seconds after warning threshold: 2588393" in found.notes["authentication.k8s.io/stale-token"]
    unbound = (await door.cluster.post(path, {"spec": {"expirationSeconds": 3607}})).json["status"]["token"]
    await door.cluster.clock.advance(3608)
    assert await door.who(unbound) == 401


async def test_requests_for_tokens_are_shortened_to_what_the_server_gives(door):
    await door.cluster.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "robot"}})
    door.use(service_account_max_token_expiration=7200.0)
    warned = []
    made = await door.made.tokens.issue({"spec": {"expirationSeconds": 86400}}, "default", "robot", warned.append)
    assert made["spec"]["expirationSeconds"] == 7200
    assert warned == ["requested expiration of 86400 seconds shortened to 7200 seconds"]


async def test_several_issuers_are_believed_and_the_first_issues(door):
    await door.cluster.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "robot"}})
    old = (await door.made.tokens.issue({}, "default", "robot"))["status"]["token"]
    before = door.cluster.server.settings.service_account_issuer[0]
    door.use(service_account_issuer=("https://new.example", before), api_audiences=(before,))
    assert (await door.who(old))[0] == "system:serviceaccount:default:robot"
    door.use(service_account_issuer=("https://new.example",), api_audiences=(before,))
    assert await door.who(old) == 401


async def test_a_browsers_websocket_shows_its_token_among_the_subprotocols(door, tmp_path):
    file = tmp_path / "tokens.csv"
    file.write_text("abc,ann,1\n")
    door.use(token_auth_file=file)
    shown = "base64url.bearer.authorization.k8s.io." + base64.urlsafe_b64encode(b"abc").rstrip(b"=").decode()
    for protocols, expected in ((f"{shown}, v4", ("ann", ["system:authenticated"])), (shown, 401),
                                (f"{shown}, {shown}, v4", 401), (f"{shown}===, v4", 401)):
        assert await door.who(upgrade="websocket", sec_websocket_protocol=protocols) == expected
    assert await door.who(sec_websocket_protocol=f"{shown}, v4") == "system:anonymous"


async def test_nobody_in_particular_may_be_let_in_nowhere_or_somewhere(door, tmp_path):
    door.use(anonymous_auth=False)
    assert await door.who() == 401
    file = tmp_path / "authentication.yaml"
    file.write_text(yaml.safe_dump({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": [],
        "anonymous": {"enabled": True, "conditions": [{"path": "/readyz"}]}}))
    door.use(authentication_config=file)
    assert await door.who() == 401
    assert door.made.authenticator.anonymous.allowed("/readyz")


async def test_an_issuer_may_be_named_by_flags(door, tmp_path):
    async with issuer(tmp_path) as found:
        ca = tmp_path / "ca.crt"
        ca.write_text(found.authority)
        door.use(oidc_issuer_url=found.url, oidc_client_id="timonier", oidc_ca_file=ca, oidc_groups_claim="teams",
                 oidc_signing_algs=("ES256",), oidc_required_claim=("org=x",))
        now = door.cluster.clock.now()
        assert await door.who(found.token(now, org="x", teams=["a"])) == (f"{found.url}#ann", [
            "a", "system:authenticated"])
        assert await door.who(found.token(now)) == 401
        review = (await door.cluster.post(REVIEWS, {"spec": {"token": "x.y.z"}})).json["status"]
        assert review == {"user": {}, "error": "invalid bearer token"}
        await door.close()


PROXY = authority(FakeClock().now(), "proxies")


def proxied(name):
    """A request's certificate of a proxy."""
    return make(FakeClock().now(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), PROXY).der


@pytest.mark.parametrize(("certificate", "expected"), [
    pytest.param(proxied("front"), ("bob", ["x,1", "y", "system:authenticated"]), id="allowed"),
    pytest.param(proxied("other"), 401, id="another-name"), pytest.param(None, "system:anonymous", id="none"),
    pytest.param(make(FakeClock().now(), x509.Name([]), authority(FakeClock().now())).der, 401, id="foreign")])
async def test_only_a_proxy_speaks_for_others(door, tmp_path, certificate, expected):
    file = tmp_path / "front.crt"
    file.write_bytes(PROXY.certificate.public_bytes(Encoding.PEM))
    door.use(requestheader_client_ca_file=file, requestheader_allowed_names=("front",))
    authenticator = door.made.authenticator
    headers = [("x-remote-user", "bob"), ("x-remote-group", "x,1"), ("x-remote-group", "y"),
               ("x-remote-extra-a%2fb", "1"), ("accept", "*/*")]
    seen = {}

    class Spying:
        async def authenticate(self, request):
            request.peer_certificate = certificate
            request.raw_headers = [(name.encode(), value.encode()) for name, value in headers]
            request.headers |= dict(headers)
            user = await authenticator.authenticate(request)
            seen.update(request.headers)
            return user

    object.__setattr__(door.made, "authenticator", Spying())
    assert await door.who() == expected
    assert expected == 401 or not [name for name in seen if name.startswith("x-remote")]


async def test_a_configuration_is_taken_over_when_it_changes(tmp_path):
    from timonier.kit.fatal import CannotRun

    clock, file, taken = FakeClock(), tmp_path / "c.yaml", []

    def use():
        taken.append(file.read_text())
        if taken[-1] == "bad":
            raise CannotRun("no")

    import asyncio

    file.write_text("a")
    task = asyncio.ensure_future(follow(file, use, clock))
    await asyncio.sleep(0)
    for content in ("a", "bad", "b"):
        file.write_text(content)
        await clock.advance(EVERY)
    file.unlink()
    await clock.advance(EVERY)
    assert taken == ["bad", "b"]
    task.cancel()


async def test_attempts_and_decisions_are_counted(door, tmp_path):
    file = tmp_path / "tokens.csv"
    file.write_text("abc,ann,1\n")
    door.use(token_auth_file=file)
    for shown in ("abc", "nonsense", ""):
        await door.who(shown)
    counted = {name: value for family in door.made.counts.families() for sample in family.samples
               for name, value in [((sample.name, *sample.labels.values()), sample.value)]}
    assert counted == {
        ("authentication_attempts", "success"): 1, ("authentication_attempts", "error"): 1,
        ("authentication_attempts", "failure"): 1, ("authenticated_user_requests", "other"): 1}
    await door.made.authoriser.decide(Attributes(User("ann", groups=("system:authenticated",)), "get",
                                                 is_resource=False, path="/version"))
    assert door.made.counts.decisions == {("RBAC", "rbac", "allowed"): 1}
