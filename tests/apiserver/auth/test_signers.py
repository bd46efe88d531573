"""Certificate requests and trust bundles at a whole server: who may approve, sign and attest, and what is kept."""

import base64
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from support.api_server import running
from support.certificates import authority, name_of

from timonier.apiserver.auth.bootstrap import bootstrap
from timonier.apiserver.request import User

PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
BUNDLES = "/apis/certificates.k8s.io/v1/clustertrustbundles"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ROOT = User("root", groups=("system:masters", "system:authenticated"))
ANN = User("ann", "7", ("dev", "system:authenticated"), {"scope": ("a",)})
CLIENT = "kubernetes.io/kube-apiserver-client"


class As:
    def __init__(self, user):
        self.user = user

    async def authenticate(self, request):
        return self.user


@pytest.fixture
async def cluster(tmp_path):
    async with running(tmp_path) as found:
        found.door = As(ROOT)
        found.server.access = replace(found.server.access, authenticator=found.door)
        await bootstrap(found.registry)
        yield found


async def grant(cluster, verb, resource, *names, group="certificates.k8s.io"):
    """Give ann a right."""
    cluster.door.user = ROOT
    name = f"{verb}-{resource.replace('/', '-')}"
    await cluster.post(f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": [
        {"verbs": [verb], "apiGroups": [group], "resources": [resource], "resourceNames": list(names)}]})
    await cluster.post(f"{RBAC}/clusterrolebindings", {
        "metadata": {"name": name}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                                                "name": name},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "ann"}]})
    cluster.door.user = ANN


def request(name="r", signer=CLIENT, subject="ann", groups=()):
    pem = x509.CertificateSigningRequestBuilder().subject_name(name_of(subject, groups)).sign(
        ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM)
    return {"metadata": {"name": name}, "spec": {
        "request": base64.b64encode(pem).decode(), "signerName": signer, "usages": ["client auth"],
        "username": "somebody-else"}, "status": {"conditions": [{"type": "Approved", "status": "True"}]}}


def condition(kind="Approved", **more):
    return {"type": kind, "status": "True", "reason": "Tested"} | more


async def test_a_request_remembers_who_made_it_and_begins_undecided(cluster):
    await grant(cluster, "create", "certificatesigningrequests")
    made = (await cluster.post(PATH, request())).json
    assert {key: made["spec"][key] for key in ("username", "uid", "groups", "extra")} == {
        "username": "ann", "uid": "7", "groups": ["dev", "system:authenticated"], "extra": {"scope": ["a"]}}
    assert not made["status"]


async def test_nobody_asks_for_a_certificate_of_the_masters(cluster):
    refused = await cluster.post(PATH, request(groups=["system:masters"]))
    assert (refused.code, refused.message) == (
        403, 'certificatesigningrequests.certificates.k8s.io "r" is forbidden: use of '
             'kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed')
    assert (await cluster.post(PATH, request(signer="example.com/a", groups=["system:masters"]))).code == 201


@pytest.mark.parametrize(("door", "verb", "status", "words"), [
    ("approval", "approve", {"conditions": [condition()]}, "approve requests"),
    ("status", "sign", {"conditions": [condition("Failed")]}, "sign requests")])
async def test_a_verdict_and_a_signature_need_the_right_to_the_signer(cluster, door, verb, status, words):
    made = (await cluster.post(PATH, request())).json
    await grant(cluster, "update", f"certificatesigningrequests/{door}")
    refused = await cluster.put(f"{PATH}/r/{door}", made | {"status": status})
    assert refused.code == 403
    assert f'user not permitted to {words} with signerName "{CLIENT}"' in refused.message
    await grant(cluster, verb, "signers", "kubernetes.io/*")
    assert (await cluster.put(f"{PATH}/r/{door}", made | {"status": status})).code == 200


async def test_the_doors_write_what_is_theirs(cluster):
    made = (await cluster.post(PATH, request())).json
    approved = (await cluster.put(f"{PATH}/r/approval", made | {"status": {
        "conditions": [condition()], "certificate": "bm90aGluZw=="}})).json
    assert "certificate" not in approved["status"]
    assert approved["status"]["conditions"][0]["lastUpdateTime"]
    assert approved["status"]["conditions"][0]["lastTransitionTime"]
    noted = await cluster.patch(f"{PATH}/r/approval", {"metadata": {"annotations": {"why": "known"}}})
    assert noted.json["metadata"]["annotations"] == {"why": "known"}
    approved = noted.json
    issued = base64.b64encode(authority(cluster.clock.now()).certificate.public_bytes(Encoding.PEM)).decode()
    signed = (await cluster.put(f"{PATH}/r/status", approved | {"spec": {}, "status": {
        "conditions": [condition(reason="Changed")], "certificate": issued}})).json
    assert signed["status"]["conditions"][0]["reason"] == "Tested"
    assert (signed["status"]["certificate"], signed["spec"]) == (issued, approved["spec"])
    again = (await cluster.put(f"{PATH}/r", signed | {"status": {}})).json
    assert again["status"] == signed["status"]


async def test_an_approved_request_cannot_be_denied(cluster):
    made = (await cluster.post(PATH, request())).json
    approved = (await cluster.put(f"{PATH}/r/approval", made | {"status": {"conditions": [condition()]}})).json
    both = await cluster.put(f"{PATH}/r/approval", approved | {"status": {"conditions": [
        condition(), condition("Denied")]}})
    assert both.code == 422
    taken_back = await cluster.put(f"{PATH}/r/approval", approved | {"status": {"conditions": []}})
    assert "updates may not remove a condition of type \"Approved\"" in taken_back.message


async def test_a_bundle_of_a_signer_is_for_who_may_attest(cluster):
    bundle = authority(cluster.clock.now()).certificate.public_bytes(Encoding.PEM).decode()
    named = {"metadata": {"name": "example.com:a:one"}, "spec": {"signerName": "example.com/a", "trustBundle": bundle}}
    await grant(cluster, "create", "clustertrustbundles")
    refused = await cluster.post(BUNDLES, named)
    assert 'user not permitted to attest for signerName "example.com/a"' in refused.message
    assert (await cluster.post(BUNDLES, {"metadata": {"name": "free"}, "spec": {"trustBundle": bundle}})).code == 201
    await grant(cluster, "attest", "signers", "example.com/a")
    assert (await cluster.post(BUNDLES, named)).code == 201
