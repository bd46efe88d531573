"""Certificates on request: who is approved, what is signed and for how long, what is thrown away."""

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from support.certificates import authority, name_of

from timonier.api.times import rfc3339
from timonier.api.types import certificates_v1, meta_v1
from timonier.api.types.certificates_v1 import CertificateSigningRequest, CertificateSigningRequestCondition
from timonier.controllers.certificates.approving import ApprovingController
from timonier.controllers.certificates.authority import Authority
from timonier.controllers.certificates.bundles import BundlePublisher
from timonier.controllers.certificates.cleaning import CleaningController, PodRequestCleaner
from timonier.controllers.certificates.requests import API_CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY
from timonier.controllers.certificates.signing import SigningController
from timonier.kit.clock import FakeClock
from timonier.reconcile.snapshot import Memory, Snapshot

NOW = FakeClock().now()
HOUR, DAY = 3600.0, 24 * 3600.0
MADE = authority(NOW)
KEY = ec.generate_private_key(ec.SECP256R1())
SIGNING = SigningController(Authority(MADE.certificate.public_bytes(Encoding.PEM), MADE.key.private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 20 * HOUR))
CLIENT = ["client auth", "digital signature", "key encipherment"]
SERVER = ["server auth", "digital signature"]
NODE = ("system:node:n1", ["system:nodes"])
ADDRESS = x509.IPAddress(ipaddress.ip_address("10.0.0.1"))


def pem(name, groups=(), *names):
    builder = x509.CertificateSigningRequestBuilder().subject_name(name_of(name, groups))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


def request(signer, usages, content, *conditions, username="ann", seconds=None, age=0.0, certificate=b""):
    written = [CertificateSigningRequestCondition(type=kind, status="True", lastUpdateTime=rfc3339(NOW - since))
               for kind, since in conditions]
    return CertificateSigningRequest(
        metadata=meta_v1.ObjectMeta(name="r", uid="u", resourceVersion="7", creationTimestamp=rfc3339(NOW - age)),
        spec=certificates_v1.CertificateSigningRequestSpec(request=content, signerName=signer, usages=usages,
                                                           username=username, expirationSeconds=seconds),
        status=certificates_v1.CertificateSigningRequestStatus(conditions=written, certificate=certificate))


def snapshot(found):
    return Snapshot({CertificateSigningRequest: Memory([found])})


def signed(found):
    """The certificate that a request gets, or why it fails."""
    status = SIGNING.plan("r", snapshot(found), NOW).status
    if status is None:
        return None
    if status.status.certificate:
        return x509.load_pem_x509_certificate(status.status.certificate)
    return status.status.conditions[-1]


def test_a_client_gets_the_certificate_that_it_asked_for():
    made = signed(request(API_CLIENT, CLIENT, pem("ann", ["dev"]), ("Approved", 0)))
    made.verify_directly_issued_by(MADE.certificate)
    assert made.subject == name_of("ann", ["dev"])
    assert made.public_key() == KEY.public_key()
    assert made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value[0].dotted_string.endswith("3.2")
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(("seconds", "life"), [
    pytest.param(None, 20 * HOUR - 300, id="as-long-as-the-signer-lets"), pytest.param(600, 600, id="shortest"),
    pytest.param(3600, 3600, id="an-hour"), pytest.param(9 * HOUR, 9 * HOUR - 300, id="long-ones-are-cut"),
    pytest.param(400 * DAY, 20 * HOUR - 300, id="never-longer-than-the-signer-lets")])
def test_a_certificate_holds_for_as_long_as_it_was_asked_for(seconds, life):
    made = signed(request(API_CLIENT, CLIENT, pem("ann"), ("Approved", 0),
                          seconds=None if seconds is None else int(seconds)))
    assert made.not_valid_before_utc.timestamp() == NOW - 300
    assert made.not_valid_after_utc.timestamp() == NOW + life


def test_no_certificate_outlives_its_authority():
    late = MADE.certificate.not_valid_after_utc.timestamp() - 60
    begins, ends = SIGNING._authority.span(None, late)
    assert ends == MADE.certificate.not_valid_after_utc
    assert begins < ends - datetime.timedelta(minutes=1)


@pytest.mark.parametrize(("signer", "usages", "content", "why"), [
    (API_CLIENT, SERVER, pem("ann"), "invalid usage for client certificate: server auth"),
    (API_CLIENT, ["digital signature"], pem("ann"), "missing required usage for client certificate: client auth"),
    (KUBELET_CLIENT, CLIENT, pem("system:node:n1", ["dev"]), "subject organization is not system:nodes"),
    (KUBELET_CLIENT, CLIENT, pem("ann", ["system:nodes"]), "subject common name does not begin with system:node:"),
    (KUBELET_CLIENT, CLIENT, pem(*NODE, x509.DNSName("n1")), "DNS subjectAltNames are not allowed"),
    (KUBELET_CLIENT, CLIENT, pem(*NODE, ADDRESS), "IP subjectAltNames are not allowed"),
    (KUBELET_CLIENT, SERVER, pem(*NODE), "usages did not match [client auth digital signature key encipherment]"),
    (KUBELET_SERVING, SERVER, pem(*NODE), "DNS or IP subjectAltName is required"),
    (KUBELET_SERVING, SERVER, pem(*NODE, ADDRESS, x509.RFC822Name("a@b.c")), "Email subjectAltNames are not allowed"),
    (KUBELET_SERVING, SERVER, pem(*NODE, ADDRESS, x509.UniformResourceIdentifier("a:b")),
     "URI subjectAltNames are not allowed")])
def test_what_breaks_its_signers_rules_fails_for_good(signer, usages, content, why):
    failed = signed(request(signer, usages, content, ("Approved", 0)))
    assert (failed.type, failed.status, failed.reason, failed.message) == (
        "Failed", "True", "SignerValidationFailure", why)


@pytest.mark.parametrize(("signer", "usages", "content"), [
    (KUBELET_CLIENT, CLIENT, pem(*NODE)), (KUBELET_SERVING, SERVER, pem(*NODE, ADDRESS, x509.DNSName("n1"))),
    (LEGACY, ["any"], pem("whoever", [], x509.DNSName("a.example")))])
def test_what_keeps_to_its_signers_rules_is_signed(signer, usages, content):
    assert signed(request(signer, usages, content, ("Approved", 0))).subject.get_attributes_for_oid(
        NameOID.COMMON_NAME)


@pytest.mark.parametrize("found", [
    request(API_CLIENT, CLIENT, pem("ann")), request(API_CLIENT, CLIENT, pem("ann"), ("Approved", 0), ("Denied", 0)),
    request(API_CLIENT, CLIENT, pem("ann"), ("Approved", 0), ("Failed", 0)),
    request(API_CLIENT, CLIENT, pem("ann"), ("Approved", 0), certificate=b"x"),
    request("example.com/other", CLIENT, pem("ann"), ("Approved", 0))],
    ids=["pending", "denied", "failed", "issued", "of-another-signer"])
def test_nothing_else_is_signed(found):
    assert signed(found) is None


async def verdict(found, *rights):
    asked = []

    async def allowed(review):
        asked.append(review.spec.resourceAttributes.subresource)
        assert (review.spec.user, review.spec.resourceAttributes.verb) == (found.spec.username, "create")
        return asked[-1] in rights

    plan = ApprovingController(allowed).plan("r", snapshot(found), NOW)
    if not isinstance(plan, type(CleaningController().plan("", snapshot(found), NOW))):
        plan = await plan
    made = [patch.patch["status"]["conditions"][-1] for patch in plan.patch]
    return asked, made[0]["message"] if made else ""


@pytest.mark.parametrize(("username", "rights", "asked", "message"), [
    ("system:bootstrap:abc", ["nodeclient"], ["nodeclient"],
     "Auto approving kubelet client certificate after SubjectAccessReview."),
    ("system:node:n1", ["selfnodeclient"], ["selfnodeclient"],
     "Auto approving self kubelet client certificate after SubjectAccessReview."),
    ("system:node:n1", [], ["selfnodeclient", "nodeclient"], ""), ("system:node:n2", [], ["nodeclient"], "")])
async def test_a_node_is_approved_where_the_requestor_has_the_right(username, rights, asked, message):
    found = request(KUBELET_CLIENT, CLIENT, pem(*NODE), username=username)
    assert await verdict(found, *rights) == (asked, message)


@pytest.mark.parametrize("found", [
    request(API_CLIENT, CLIENT, pem(*NODE)), request(KUBELET_CLIENT, CLIENT, pem("ann")),
    request(KUBELET_CLIENT, CLIENT, pem(*NODE), ("Denied", 0)), request(KUBELET_CLIENT, CLIENT, b"nonsense")],
    ids=["another-signer", "no-node", "decided", "unreadable"])
async def test_nobody_is_asked_about_other_requests(found):
    assert await verdict(found, "nodeclient", "selfnodeclient") == ([], "")


ISSUED = MADE.certificate.public_bytes(Encoding.PEM)


@pytest.mark.parametrize(("found", "left"), [
    (request(API_CLIENT, CLIENT, b""), DAY), (request(API_CLIENT, CLIENT, b"", age=DAY), 0),
    (request(API_CLIENT, CLIENT, b"", ("Denied", 600)), HOUR - 600),
    (request(API_CLIENT, CLIENT, b"", ("Denied", HOUR)), 0),
    (request(API_CLIENT, CLIENT, b"", ("Approved", HOUR)), DAY),
    (request(API_CLIENT, CLIENT, b"", ("Approved", HOUR), certificate=ISSUED), 0),
    (request(API_CLIENT, CLIENT, b"", ("Approved", 0), ("Failed", HOUR + 1)), 0)])
def test_requests_that_served_their_turn_are_deleted(found, left):
    plan = CleaningController().plan("r", snapshot(found), NOW)
    assert (len(plan.delete), plan.again) == ((0, left) if left else (1, None))


def test_a_pods_request_goes_after_a_quarter_of_an_hour():
    for age, left in ((0, 900), (900, 0)):
        found = certificates_v1.PodCertificateRequest(metadata=meta_v1.ObjectMeta(
            name="r", namespace="ns", uid="u", creationTimestamp=rfc3339(NOW - age)))
        plan = PodRequestCleaner().plan("ns/r", Snapshot({certificates_v1.PodCertificateRequest: Memory([found])}), NOW)
        assert (len(plan.delete), plan.again) == ((0, left) if left else (1, None))


def published(*bundles):
    publisher = BundlePublisher("the CA")
    (key,) = publisher.watches[0].keys(None, None)
    return key, publisher.plan(key, Snapshot({certificates_v1.ClusterTrustBundle: Memory(bundles)}), NOW)


def test_the_authority_of_the_api_server_is_a_bundle_whose_name_tells_its_content():
    key, plan = published()
    (made,) = plan.create
    assert (key, made.metadata.name) == (key, "kubernetes.io:kube-apiserver-serving:" + key.rpartition(":")[2])
    assert (made.spec.signerName, made.spec.trustBundle) == ("kubernetes.io/kube-apiserver-serving", "the CA")
    assert not published(made)[1]
    old = certificates_v1.ClusterTrustBundle(metadata=meta_v1.ObjectMeta(name="old", uid="u"))
    assert [each.name for each in published(made, old)[1].delete] == ["old"]
