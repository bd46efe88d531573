"""Bad input over the wire: the status, reason and message of Kubernetes, never a 500 and never a traceback."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.cluster import RealCluster

from timonier.cluster.certificates import Authority, Identity
from timonier.kit import kubeconfig

pytestmark = pytest.mark.machine

JSON, YAML = "application/json", "application/yaml"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


@dataclass
class Answer:
    code: int
    body: Any

    def __getattr__(self, name: str) -> Any:
        return self.body.get(name) if isinstance(self.body, dict) else None


@pytest.fixture(scope="module")
def ask(cluster: RealCluster):
    settings = kubeconfig.load(cluster.kubeconfig)
    admin = settings.ssl_context()
    plain = ssl.create_default_context(cadata=settings.certificate_authority.decode())
    host, _, port = settings.server.removeprefix("https://").partition(":")

    def send(method: str, path: str, body: Any = None, *, content_type: str = JSON, token: str = "",
             context: ssl.SSLContext | None = None) -> Answer:
        connection = http.client.HTTPSConnection(host, int(port), timeout=20,
                                                 context=context or (plain if token else admin))
        headers = {"Content-Type": content_type} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method, path, body=content, headers=headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        assert b"Traceback" not in text
        assert response.status < 500, text
        return Answer(response.status, json.loads(text) if text.startswith(b"{") else text.decode())

    return send


def config_map(**more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, **more}


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"},
            "spec": {"containers": [{"name": "a", "image": "b"}], **spec}}


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"", b"{}x"],
                         ids=["half", "list", "null", "string", "not-utf8", "empty", "trailing"])
def test_malformed_json_is_a_bad_request(ask, body) -> None:
    answer = ask("POST", CONFIG_MAPS, body)
    assert (answer.code, answer.reason, answer.kind) == (400, "BadRequest", "Status")


def test_malformed_yaml_is_a_bad_request(ask) -> None:
    answer = ask("POST", CONFIG_MAPS, b"a: [", content_type=YAML)
    assert (answer.code, answer.reason) == (400, "BadRequest")


def test_unknown_fields_are_refused_strictly_and_dropped_otherwise(ask) -> None:
    strict = ask("POST", CONFIG_MAPS + "?fieldValidation=Strict&dryRun=All", config_map(dat={"a": "b"}))
    assert (strict.code, strict.reason) == (400, "BadRequest")
    assert 'strict decoding error: unknown field "dat"' in strict.message
    dropped = ask("POST", CONFIG_MAPS + "?fieldValidation=Ignore&dryRun=All", config_map(dat={"a": "b"}))
    assert dropped.code == 201
    assert "dat" not in dropped.body


def test_wrong_types_name_the_field(ask) -> None:
    answer = ask("POST", PODS, pod(hostNetwork="yes"))
    assert (answer.code, answer.reason) == (400, "BadRequest")
    assert "hostNetwork" in answer.message


def test_a_body_that_is_too_large(ask) -> None:
    answer = ask("POST", CONFIG_MAPS, b" " * (3 * 1024 * 1024 + 1))
    assert (answer.code, answer.reason) == (413, "RequestEntityTooLarge")
    assert "limit is 3145728" in answer.message


def test_a_content_type_that_nobody_knows(ask) -> None:
    answer = ask("POST", CONFIG_MAPS, b"<x/>", content_type="text/xml")
    assert (answer.code, answer.reason) == (415, "UnsupportedMediaType")
    assert answer.message.startswith("the body of the request was in an unknown format")


@pytest.mark.parametrize("path", ["/api/v1/nonsense", "/apis/none/v1/x", "/apis/apps/v9/deployments", "/nothing",
                                  "/api/v1/namespaces/default/pods/x/nothing"])
def test_unknown_paths_are_not_found(ask, path) -> None:
    assert ask("GET", path).code == 404


def test_an_unknown_method_is_not_allowed(ask) -> None:
    assert ask("PUT", PODS, pod()).code == 405


@pytest.mark.parametrize("token", ["nonsense", "a.b.c"], ids=["opaque", "no-jwt"])
def test_a_token_that_is_none(ask, token) -> None:
    answer = ask("GET", PODS, token=token)
    assert (answer.code, answer.reason, answer.message) == (401, "Unauthorized", "Unauthorized")


def test_a_forged_token(ask, cluster: RealCluster) -> None:
    token = cluster.kubectl("create", "token", "default").out.strip()
    assert ask("GET", PODS, token=token).code == 403
    head, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["sub"] = "system:serviceaccount:kube-system:namespace-controller"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    assert ask("GET", PODS, token=f"{head}.{forged}.{signature}").code == 401
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    assert ask("GET", PODS, token=f"{none}.{payload}.").code == 401


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_of_another_authority_is_unauthorized(ask, cluster: RealCluster, tmp_path: Path, version) -> None:
    foreign = Authority(tmp_path).issue("me", Identity("kubernetes-admin", groups=("system:masters",)))
    context = ssl.create_default_context(
        cadata=kubeconfig.load(cluster.kubeconfig).certificate_authority.decode())
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(foreign.certificate, foreign.key)
    answer = ask("GET", PODS, context=context)
    assert (answer.code, answer.kind, answer.reason, answer.message) == (401, "Status", "Unauthorized", "Unauthorized")


def test_a_certificate_of_another_authority_does_not_get_into_a_kubelet(cluster: RealCluster, tmp_path: Path) -> None:
    addresses = cluster.get("nodes")["items"][0]["status"]["addresses"]
    host = next(each["address"] for each in addresses if each["type"] == "InternalIP")
    context = ssl.create_default_context(cadata=kubeconfig.load(cluster.kubeconfig).certificate_authority.decode())
    for certificate in (None, Authority(tmp_path).issue("me", Identity("kube-apiserver-kubelet-client"))):
        if certificate is not None:
            context.load_cert_chain(certificate.certificate, certificate.key)
        connection = http.client.HTTPSConnection(host, 10250, timeout=20, context=context)
        try:
            connection.request("GET", "/pods")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (401, b"Unauthorized")
        finally:
            connection.close()


def test_anonymous_requests_get_health_and_version_and_nothing_else(ask, cluster: RealCluster) -> None:
    context = ssl.create_default_context(cadata=kubeconfig.load(cluster.kubeconfig).certificate_authority.decode())
    assert ask("GET", "/livez", context=context).code == 200
    assert ask("GET", "/version", context=context).code == 200
    refused = ask("GET", PODS, context=context)
    assert (refused.code, refused.reason) == (403, "Forbidden")
    assert refused.message == ('pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
                               'in the namespace "default"')


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "x" * 254, "a b", "..", "ü"])
def test_names_that_are_no_dns_names_are_invalid(ask, name) -> None:
    answer = ask("POST", CONFIG_MAPS, config_map(metadata={"name": name}))
    assert (answer.code, answer.reason) == (422, "Invalid")
    assert answer.details["causes"][0]["field"] == "metadata.name"


@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "a%2fb", "%00"])
def test_paths_do_not_escape_their_collection(ask, name) -> None:
    assert ask("GET", f"{CONFIG_MAPS}/{name}").code in (400, 404)


def test_every_problem_of_an_object_is_told_at_once(ask) -> None:
    answer = ask("POST", PODS, pod(containers=[{"name": "A_B"}, {"name": "x", "image": "y", "imagePullPolicy": "No"}]))
    assert (answer.code, answer.reason) == (422, "Invalid")
    fields = {cause["field"] for cause in answer.details["causes"]}
    assert {"spec.containers[0].name", "spec.containers[0].image", "spec.containers[1].imagePullPolicy"} <= fields
    assert "spec.containers[0].image: Required value" in answer.message


@pytest.mark.parametrize("mount", [{"subPath": "../x"}, {"subPath": "/x"}, {"mountPath": ""}])
def test_volume_paths_do_not_escape(ask, mount) -> None:
    mounts = [{"name": "v", "mountPath": "/v", **mount}]
    answer = ask("POST", PODS, pod(containers=[{"name": "a", "image": "b", "volumeMounts": mounts}],
                                   volumes=[{"name": "v", "emptyDir": {}}]))
    assert (answer.code, answer.reason) == (422, "Invalid")


def test_a_namespace_that_does_not_exist(ask) -> None:
    answer = ask("POST", "/api/v1/namespaces/nowhere/configmaps", config_map())
    assert (answer.code, answer.reason, answer.message) == (404, "NotFound", 'namespaces "nowhere" not found')


def test_a_stale_update_is_a_conflict(ask) -> None:
    ask("DELETE", f"{CONFIG_MAPS}/stale")
    first = ask("POST", CONFIG_MAPS, config_map(metadata={"name": "stale"})).body
    assert ask("PUT", f"{CONFIG_MAPS}/stale", first | {"data": {"a": "1"}}).code == 200
    answer = ask("PUT", f"{CONFIG_MAPS}/stale", first | {"data": {"a": "2"}})
    assert (answer.code, answer.reason) == (409, "Conflict")
    assert answer.message == ('Operation cannot be fulfilled on configmaps "stale": the object has been modified; '
                              "please apply your changes to the latest version and try again")
    ask("DELETE", f"{CONFIG_MAPS}/stale")
