"""kubectl, unmodified, asks who it is and what it may, gets certificates and tokens, and acts as others.

The tests of Kubernetes's conformance suite about authentication and certificates are here again, as far as they need no
node: [sig-auth] ServiceAccounts, ServiceAccountIssuerDiscovery, Certificates API, SubjectReview, SelfSubjectReview.
"""

import base64
import json
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from support.certificates import name_of
from support.control_plane import control_plane
from support.kubectl import OLDEST

from timonier.cluster.certificates import Identity
from timonier.kit.jws import peek


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    with control_plane(tmp_path_factory.mktemp("plane")) as found:
        eventually(lambda: found.kubectl("get", "serviceaccount", "default", check=False).code == 0)
        yield found


def eventually(holds):
    deadline = time.monotonic() + 20
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def get(plane, *arguments):
    return json.loads(plane.kubectl("get", *arguments, "-o", "json").out)


def apply(plane, *objects):
    items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    return plane.kubectl("apply", "-f", "-", stdin=json.dumps(items))


def asking(name="ann", usages=("client auth",), signer="kubernetes.io/kube-apiserver-client", seconds=3600):
    key = ec.generate_private_key(ec.SECP256R1())
    pem = x509.CertificateSigningRequestBuilder().subject_name(name_of(name, ["dev"])).sign(
        key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return key, {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
                 "metadata": {"name": name}, "spec": {"request": base64.b64encode(pem).decode(), "signerName": signer,
                                                      "usages": list(usages), "expirationSeconds": seconds}}


def test_who_am_i(plane):
    assert plane.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}").out == "kubernetes-admin"
    told = plane.kubectl("auth", "whoami", "--as", "bob", "--as-group", "x", "--as-uid", "7").out
    assert [line.split(None, 1) for line in told.splitlines()] == [
        ["ATTRIBUTE", "VALUE"], ["Username", "bob"], ["UID", "7"], ["Groups", "[x system:authenticated]"]]


@pytest.mark.parametrize("version", ["1.37", OLDEST])
def test_can_i(plane, version):
    assert plane.kubectl("auth", "can-i", "create", "pods", version=version).out.strip() == "yes"
    for arguments, answer in ((["list", "pods"], "no"), (["get", "/version"], "yes"), (["get", "/metrics"], "no")):
        asked = plane.kubectl("auth", "can-i", *arguments, "--as", "bob", version=version, check=False)
        assert (asked.out.strip().split(" ")[0], asked.code) == (answer, 0 if answer == "yes" else 1)


def test_what_can_i(plane):
    told = plane.kubectl("auth", "can-i", "--list", "--as", "bob").out
    lines = {line.split()[0]: line for line in told.splitlines()}
    assert lines["selfsubjectreviews.authentication.k8s.io"].endswith("[create]")
    assert "[/healthz]" in told


def test_reconcile_adds_rights_and_takes_none_away(plane):
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "reader", "namespace": "default"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
    apply(plane, role)
    role["rules"] = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    told = plane.kubectl("auth", "reconcile", "-f", "-", stdin=json.dumps(role)).out
    assert "role.rbac.authorization.k8s.io/reader reconciled" in told
    assert [rule["resources"] for rule in get(plane, "role", "reader")["rules"]] == [["pods"], ["secrets"]]


def test_nobody_gives_rights_away_that_they_lack(plane):
    plane.kubectl("create", "clusterrole", "role-writer", "--verb=create,get", "--resource=clusterroles")
    plane.kubectl("create", "clusterrolebinding", "role-writer", "--clusterrole=role-writer", "--user=carl")
    refused = plane.kubectl("create", "clusterrole", "mine", "--verb=list,get", "--resource=secrets", "--as", "carl",
                            check=False)
    assert refused.code == 1
    assert ('user "carl" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently '
            'held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}') in refused.err


def test_a_certificate_is_approved_signed_and_let_in(plane):
    key, request = asking("dora")
    apply(plane, request)
    told = plane.kubectl("get", "csr", "dora", "--no-headers").out.split()
    assert told[2:] == ["kubernetes.io/kube-apiserver-client", "kubernetes-admin", "60m", "Pending"]
    assert "certificatesigningrequest.certificates.k8s.io/dora approved" in plane.kubectl(
        "certificate", "approve", "dora").out
    issued = eventually(lambda: get(plane, "csr", "dora")["status"].get("certificate"))
    pem = base64.b64decode(issued)
    made = x509.load_pem_x509_certificate(pem)
    assert made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "dora"
    assert plane.kubectl("get", "csr", "dora", "--no-headers").out.split()[-1] == "Approved,Issued"
    (plane.folder / "dora.crt").write_bytes(pem)
    (plane.folder / "dora.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    told = json.loads(plane.kubectl(
        "--kubeconfig", "/dev/null", "--server", plane.url, "--certificate-authority", str(plane.folder / "ca.crt"),
        "--client-certificate", str(plane.folder / "dora.crt"), "--client-key", str(plane.folder / "dora.key"),
        "auth", "whoami", "-o", "json").out)["status"]["userInfo"]
    assert (told["username"], told["groups"]) == ("dora", ["dev", "system:authenticated"])


def test_a_certificate_that_is_denied_or_breaks_the_rules_is_not_issued(plane):
    apply(plane, asking("eve")[1], asking("fred", usages=["server auth"])[1])
    plane.kubectl("certificate", "deny", "eve")
    plane.kubectl("certificate", "approve", "fred")
    assert plane.kubectl("get", "csr", "eve", "--no-headers").out.split()[-1] == "Denied"
    failed = eventually(lambda: [each for each in get(plane, "csr", "fred")["status"]["conditions"]
                                 if each["type"] == "Failed"])
    assert failed[0]["message"] == "invalid usage for client certificate: server auth"
    assert plane.kubectl("get", "csr", "fred", "--no-headers").out.split()[-1] == "Approved,Failed"


def test_a_node_that_joins_by_a_token_gets_its_certificate(plane):
    """TLS bootstrapping as kubeadm has it: the token's bearer asks, and nobody has to approve."""
    plane.kubectl("create", "clusterrolebinding", "bootstrap", "--clusterrole=system:node-bootstrapper",
                  "--group=system:bootstrappers")
    plane.kubectl("create", "clusterrolebinding", "approve", "--group=system:bootstrappers",
                  "--clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient")
    apply(plane, {"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
                  "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
                  "stringData": {"token-id": "abcdef", "token-secret": "0123456789abcdef",
                                 "usage-bootstrap-authentication": "true"}})
    key = ec.generate_private_key(ec.SECP256R1())
    pem = x509.CertificateSigningRequestBuilder().subject_name(name_of("system:node:n7", ["system:nodes"])).sign(
        key, hashes.SHA256()).public_bytes(Encoding.PEM)
    request = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
               "metadata": {"name": "n7"}, "spec": {
                   "request": base64.b64encode(pem).decode(), "usages": ["digital signature", "client auth"],
                   "signerName": "kubernetes.io/kube-apiserver-client-kubelet"}}
    plane.kubectl("--kubeconfig", "/dev/null", "--server", plane.url, "--certificate-authority",
                  str(plane.folder / "ca.crt"), "--token", "abcdef.0123456789abcdef", "create", "-f", "-",
                  stdin=json.dumps(request))
    assert eventually(lambda: get(plane, "csr", "n7")["status"].get("certificate"))
    assert get(plane, "csr", "n7")["spec"]["username"] == "system:bootstrap:abcdef"


def test_a_token_is_made_for_an_account_an_audience_and_a_time(plane):
    plane.kubectl("create", "serviceaccount", "robot")
    token = plane.kubectl("create", "token", "robot", "--audience", "vault", "--duration", "2h").out.strip()
    claims = peek(token)
    assert (claims["aud"], claims["exp"] - claims["iat"]) == (["vault"], 7200)
    review = json.loads(plane.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {"generateName": "x"},
        "spec": {"token": token, "audiences": ["vault"]}})).out)
    assert review["status"]["user"]["username"] == "system:serviceaccount:default:robot"
    assert review["status"]["audiences"] == ["vault"]
    assert plane.kubectl("--token", token, "--kubeconfig", "/dev/null", "--server", plane.url,
                         "--certificate-authority", str(plane.folder / "ca.crt"), "auth", "whoami",
                         check=False).code == 1


def test_a_secret_that_asks_for_a_token_gets_one_that_works(plane):
    plane.kubectl("create", "serviceaccount", "old")
    apply(plane, {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token", "metadata": {
        "name": "old-token", "namespace": "default", "annotations": {"kubernetes.io/service-account.name": "old"}}})
    found = eventually(lambda: get(plane, "secret", "old-token").get("data"))
    (plane.folder / "token-ca.crt").write_bytes(base64.b64decode(found["ca.crt"]))
    told = plane.kubectl("--token", base64.b64decode(found["token"]).decode(), "--kubeconfig", "/dev/null", "--server",
                         plane.url, "--certificate-authority", str(plane.folder / "token-ca.crt"), "auth", "whoami").out
    assert "system:serviceaccount:default:old" in told
    plane.kubectl("delete", "serviceaccount", "old")
    eventually(lambda: plane.kubectl("get", "secret", "old-token", check=False).code == 1)


def test_others_find_the_keys_that_verify_our_tokens(plane):
    """Conformance: ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer."""
    token = plane.kubectl("create", "token", "default").out.strip()
    ask = ("--token", token, "--kubeconfig", "/dev/null", "--server", plane.url, "--certificate-authority",
           str(plane.folder / "ca.crt"), "get", "--raw")
    document = json.loads(plane.kubectl(*ask, "/.well-known/openid-configuration").out)
    assert document["issuer"] == peek(token)["iss"]
    assert document["jwks_uri"] == f"{document['issuer']}/openid/v1/jwks"
    (key,) = json.loads(plane.kubectl(*ask, "/openid/v1/jwks").out)["keys"]
    from joserfc import jws
    from joserfc.jwk import ECKey

    assert jws.deserialize_compact(token, ECKey.import_key(key), [key["alg"]])


def test_a_service_accounts_life(plane):
    """Conformance: ServiceAccounts should run through the lifecycle of a ServiceAccount; should update one."""
    plane.kubectl("create", "serviceaccount", "life")
    plane.kubectl("label", "serviceaccount", "life", "e2e=yes")
    plane.kubectl("patch", "serviceaccount", "life", "-p", '{"automountServiceAccountToken": false}')
    assert get(plane, "serviceaccounts", "-A", "-l", "e2e=yes")["items"][0]["automountServiceAccountToken"] is False
    plane.kubectl("delete", "serviceaccounts", "-l", "e2e=yes")
    assert plane.kubectl("get", "serviceaccount", "life", check=False).code == 1


def test_a_pod_may_do_without_its_accounts_token(plane):
    """Conformance: ServiceAccounts should allow opting out of API token automount."""
    apply(plane, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nomount", "namespace": "default"},
                  "automountServiceAccountToken": False})
    for account, wish, mounted in (("default", None, True), ("nomount", None, False), ("nomount", True, True),
                                   ("default", False, False)):
        name = f"{account}-{wish}".lower()
        apply(plane, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": {
            "serviceAccountName": account, "containers": [{"name": "a", "image": "b"}],
            **({} if wish is None else {"automountServiceAccountToken": wish})}})
        mounts = get(plane, "pod", name)["spec"]["containers"][0].get("volumeMounts", [])
        assert bool(mounts) is mounted


def test_every_namespace_has_the_ca(plane):
    """Conformance: ServiceAccounts should guarantee kube-root-ca.crt exist in any namespace."""
    plane.kubectl("create", "namespace", "fresh")

    def authority():
        found = plane.kubectl("get", "configmap", "kube-root-ca.crt", "-n", "fresh", "-o", "json", check=False)
        return json.loads(found.out)["data"].get("ca.crt") if found.code == 0 else None

    original = eventually(authority)
    plane.kubectl("delete", "configmap", "kube-root-ca.crt", "-n", "fresh")
    assert eventually(authority) == original
    plane.kubectl("patch", "configmap", "kube-root-ca.crt", "-n", "fresh", "-p", '{"data": {"ca.crt": "no"}}')
    eventually(lambda: authority() == original)


def test_the_authority_is_a_bundle_that_accounts_may_read(plane):
    token = plane.kubectl("create", "token", "default").out.strip()
    found = eventually(lambda: json.loads(plane.kubectl(
        "--token", token, "--kubeconfig", "/dev/null", "--server", plane.url, "--certificate-authority",
        str(plane.folder / "ca.crt"), "get", "clustertrustbundles", "-o", "json").out)["items"])
    assert found[0]["spec"] == {"signerName": "kubernetes.io/kube-apiserver-serving",
                                "trustBundle": (plane.folder / "ca.crt").read_text()}


def test_reviews_of_a_subject(plane):
    """Conformance: SubjectReview should support SubjectReview API operations."""
    apply(plane, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "e2e", "namespace": "default"}})
    user = "system:serviceaccount:default:e2e"
    asked = {"namespace": "default", "verb": "list", "resource": "configmaps", "version": "v1"}

    def review(kind, **spec):
        made = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "metadata": (
            {"namespace": "default"} if kind.startswith("Local") else {}), "spec": {"resourceAttributes": asked} | spec}
        path = "/apis/authorization.k8s.io/v1/" + ("namespaces/default/" if kind.startswith("Local") else "")
        return json.loads(plane.kubectl("create", "--raw", f"{path}{kind.lower()}s", "-f", "-",
                                        stdin=json.dumps(made)).out)["status"]

    for kind in ("SubjectAccessReview", "LocalSubjectAccessReview"):
        assert review(kind, user=user)["allowed"] is False
    plane.kubectl("create", "rolebinding", "e2e", "--clusterrole=view", "--serviceaccount=default:e2e")
    for kind in ("SubjectAccessReview", "LocalSubjectAccessReview"):
        assert review(kind, user=user) == {
            "allowed": True, "reason": 'RBAC: allowed by RoleBinding "e2e/default" of ClusterRole "view" to '
                                       'ServiceAccount "e2e/default"'}


def test_refusals_name_whom_they_refuse(plane):
    kubeconfig = plane.identify("gina", Identity("gina", groups=("dev",)))
    refused = plane.kubectl("--kubeconfig", str(kubeconfig), "get", "secrets", check=False)
    assert refused.err.strip() == (
        'Error from server (Forbidden): secrets is forbidden: User "gina" cannot list resource "secrets" in API group '
        '"" in the namespace "default"')
    refused = plane.kubectl("--token", "nonsense", "--kubeconfig", "/dev/null", "--server", plane.url,
                            "--certificate-authority", str(plane.folder / "ca.crt"), "get", "pods", check=False)
    assert "You must be logged in to the server (Unauthorized)" in refused.err
