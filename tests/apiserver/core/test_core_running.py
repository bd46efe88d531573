"""What an operator of the API server relies on, against real processes, by unmodified kubectl."""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.cluster import eventually
from support.control_plane import ControlPlane, control_plane

POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
    {"level": "RequestResponse", "users": ["kubernetes-admin"], "resources": [{"resources": ["configmaps"]}]}]}
MIGRATION = {"apiVersion": "storagemigration.k8s.io/v1", "kind": "StorageVersionMigration", "metadata": {"name": "all"},
             "spec": {"resource": {"resource": "secrets"}}}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("plane")
    (folder / "policy.yaml").write_text(yaml.safe_dump(POLICY))
    write_keys(folder / "encryption.yaml", "old")
    with control_plane(folder, manager=False, audit_policy_file=folder / "policy.yaml",
                       audit_log_path=str(folder / "audit.log"),
                       encryption_provider_config=folder / "encryption.yaml") as made:
        yield made


def write_keys(file: Path, *names: str) -> None:
    keys = [{"name": name, "secret": base64.b64encode(name.encode().ljust(32, b"-")).decode()} for name in names]
    file.write_text(yaml.safe_dump({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": [
            {"resources": ["secrets"], "providers": [{"secretbox": {"keys": keys}}, {"identity": {}}]}]}))


def test_what_was_done_stands_in_the_audit_log(plane: ControlPlane) -> None:
    plane.kubectl("create", "configmap", "audited", "--from-literal=a=b")
    [event] = eventually(lambda: written(plane, "create"))  # once the client has its answer
    assert event["stage"] == "ResponseComplete"
    assert event["user"]["username"] == "kubernetes-admin"
    assert event["userAgent"].startswith("kubectl/")
    assert event["objectRef"] == {"resource": "configmaps", "namespace": "default", "name": "audited",
                                  "apiVersion": "v1"}
    assert event["requestObject"]["data"] == event["responseObject"]["data"] == {"a": "b"}
    assert event["annotations"]["authorization.k8s.io/decision"] == "allow"


def written(plane: ControlPlane, verb: str) -> list[Any]:
    log = plane.folder / "audit.log"
    events = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [event for event in events if event["verb"] == verb]


def test_flow_control_and_local_apis_are_there(plane: ControlPlane) -> None:
    eventually(lambda: plane.kubectl("get", "apiservice/v1.apps", check=False).code == 0)
    plane.kubectl("wait", "--for=condition=Available", "apiservice/v1.apps", "--timeout=30s")
    schemas = plane.kubectl("get", "flowschemas", "-o", "name").out.split()
    assert "flowschema.flowcontrol.apiserver.k8s.io/service-accounts" in schemas
    levels = plane.kubectl("get", "prioritylevelconfigurations", "-o", "name").out.split()
    assert len(levels) == 8
    config = plane.kubectl("get", "configmap", "-n", "kube-system", "extension-apiserver-authentication", "-o",
                           "jsonpath={.data.client-ca-file}").out
    assert config.startswith("-----BEGIN CERTIFICATE-----")


def test_what_is_stored_can_be_given_another_key(plane: ControlPlane) -> None:
    plane.kubectl("create", "secret", "generic", "sealed", "--from-literal=password=hunter2")
    assert marks(plane) == {b"k8s:enc:secretbox:v1:old:"}
    plane.end("apiserver")
    write_keys(plane.folder / "encryption.yaml", "new", "old")
    plane.start_api_server()
    plane.listening()
    plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(MIGRATION))
    plane.kubectl("wait", "--for=condition=Succeeded", "storageversionmigration/all", "--timeout=30s")
    assert marks(plane) == {b"k8s:enc:secretbox:v1:new:"}
    plane.end("apiserver")
    write_keys(plane.folder / "encryption.yaml", "new")
    plane.start_api_server()
    plane.listening()
    found = plane.kubectl("get", "secret", "sealed", "-o", "jsonpath={.data.password}").out
    assert base64.b64decode(found) == b"hunter2"


def marks(plane: ControlPlane) -> set[bytes]:
    """How the latest value of every Secret begins in the store."""
    with sqlite3.connect(f"file:{plane.folder / 'store.db'}?mode=ro", uri=True, timeout=10) as store:
        rows = store.execute("SELECT key, value FROM log WHERE key LIKE '/secrets/%' ORDER BY revision").fetchall()
    latest = {key: value for key, value in rows if value is not None}
    return {value[:25] for value in latest.values()}


def test_a_server_that_is_told_to_end_ends_at_once_where_nobody_waits(plane: ControlPlane) -> None:
    eventually(lambda: plane.kubectl("get", "--raw", "/readyz", check=False).out == "ok")
    begin = time.monotonic()
    plane.end("apiserver")
    assert time.monotonic() - begin < 5
    assert "api server ending" in plane.log("apiserver")
    plane.start_api_server()
    plane.listening()
