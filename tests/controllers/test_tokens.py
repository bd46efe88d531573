"""Secrets that hold tokens: filled on request, and thrown away when they end."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.jwk import OctKey

from timonier.api.times import rfc3339
from timonier.api.types import core_v1, meta_v1
from timonier.controllers.tokens.accounts import BY_ACCOUNT, TokensController, account_of
from timonier.controllers.tokens.bootstrap import BootstrapSigner, TokenCleaner
from timonier.kit.clock import FakeClock
from timonier.kit.jws import Key, Keyring
from timonier.reconcile.snapshot import Memory, Snapshot

NOW = FakeClock().now()
KEYS = Keyring.of([Key.of(ec.generate_private_key(ec.SECP256R1()))])
FILLING = TokensController(KEYS, b"the CA")


def meta(name, namespace="ns", **more):
    return meta_v1.ObjectMeta(name=name, namespace=namespace, uid=f"uid-of-{name}", **more)


def secret(uid="", **data):
    annotations = {"kubernetes.io/service-account.name": "robot"} | ({"kubernetes.io/service-account.uid": uid} if uid
                                                                     else {})
    return core_v1.Secret(metadata=meta("s", annotations=annotations), data=data,
                          type="kubernetes.io/service-account-token")


def filled(found, *accounts):
    snapshot = Snapshot({core_v1.Secret: Memory([found], {BY_ACCOUNT: account_of}),
                         core_v1.ServiceAccount: Memory(accounts)})
    return FILLING.plan("ns/s", snapshot, NOW)


ROBOT = core_v1.ServiceAccount(metadata=meta("robot"))


def test_a_secret_that_asks_for_a_token_gets_one():
    (made,) = filled(secret(), ROBOT).update
    assert made.data["ca.crt"], made.data["namespace"] == (b"the CA", b"ns")
    assert made.metadata.annotations["kubernetes.io/service-account.uid"] == "uid-of-robot"
    claims = KEYS.verify(made.data["token"].decode())
    assert claims == {
        "iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:ns:robot",
        "kubernetes.io/serviceaccount/namespace": "ns", "kubernetes.io/serviceaccount/secret.name": "s",
        "kubernetes.io/serviceaccount/service-account.name": "robot",
        "kubernetes.io/serviceaccount/service-account.uid": "uid-of-robot"}
    assert not filled(made, ROBOT)


def test_a_token_that_is_there_stays():
    (made,) = filled(secret(token=b"old"), ROBOT).update
    assert made.data["token"] == b"old"


@pytest.mark.parametrize(("found", "accounts"), [
    pytest.param(secret(), [], id="no-account"), pytest.param(secret(uid="other"), [ROBOT], id="another-account")])
def test_a_secret_goes_with_its_account(found, accounts):
    plan = filled(found, *accounts)
    assert [each.name for each in plan.delete] == ["s"]
    assert [each.name for each in plan.absent] == ["robot"]


def token(identity="abcdef", **data):
    texts = {"token-id": identity, "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true"} | data
    return core_v1.Secret(metadata=meta(f"bootstrap-token-{identity}", "kube-system"),
                          type="bootstrap.kubernetes.io/token",
                          data={key.replace("_", "-"): text.encode() for key, text in texts.items()})


def signed(data, *tokens):
    info = core_v1.ConfigMap(metadata=meta("cluster-info", "kube-public"), data=data)
    return BootstrapSigner().plan("kube-public/cluster-info", Snapshot({
        core_v1.ConfigMap: Memory([info]), core_v1.Secret: Memory(tokens)}), NOW)


def test_who_knows_the_token_knows_the_kubeconfig_to_be_right():
    (made,) = signed({"kubeconfig": "content"}, token()).update
    head, _, rest = made.data["jws-kubeconfig-abcdef"].partition("..")
    body = base64.urlsafe_b64encode(b"content").rstrip(b"=").decode()
    found = jws.deserialize_compact(f"{head}.{body}.{rest}", OctKey.import_key(b"0123456789abcdef"), ["HS256"])
    assert found.headers() == {"alg": "HS256", "kid": "abcdef"}
    assert not signed(made.data, token())


def test_tokens_that_do_not_sign_leave_no_signature():
    (made,) = signed({"kubeconfig": "content", "jws-kubeconfig-abcdef": "old"}, token(usage_bootstrap_signing="false"),
                     token("ghijkl", expiration=rfc3339(NOW - 1))).update
    assert made.data == {"kubeconfig": "content"}


def test_signatures_are_looked_at_again_when_a_token_ends():
    assert signed({"kubeconfig": "content"}, token(expiration=rfc3339(NOW + 60))).again == 60


@pytest.mark.parametrize(("expiration", "deleted", "again"), [
    pytest.param("", 0, None, id="never"), pytest.param(rfc3339(NOW + 60), 0, 60, id="in-a-minute"),
    pytest.param(rfc3339(NOW), 1, None, id="now"), pytest.param("nonsense", 1, None, id="unreadable")])
def test_a_token_is_deleted_when_it_ends(expiration, deleted, again):
    found = token(**({"expiration": expiration} if expiration else {}))
    plan = TokenCleaner().plan("kube-system/bootstrap-token-abcdef", Snapshot({core_v1.Secret: Memory([found])}), NOW)
    assert (len(plan.delete), plan.again) == (deleted, again)
