"""A role or a command that cannot do its work says so in one line that helps, and never in a traceback."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cluster import free_port

from timonier import main
from timonier.apiserver.encryption.config import of_key
from timonier.apiserver.encryption.store import EncryptedStore
from timonier.cluster import spec as cluster_spec
from timonier.cluster.certificates import Authority, Identity, encryption_key, signing_key
from timonier.cluster.spec import ClusterSpec
from timonier.cluster.steps import Context
from timonier.cluster.steps.kubeconfig import WriteKubeconfig
from timonier.kit import kubeconfig, nft
from timonier.store.contract import ABSENT
from timonier.store.sqlite import SqliteStore

LIMIT = 30.0


def timonier(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "timonier", *arguments], capture_output=True, text=True,
                          timeout=LIMIT, check=False, **more)


def complaint(*arguments: str) -> str:
    """The error of a role's one line, which is all that it says."""
    done = timonier(*arguments)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    told = [line for line in lines if line["level"] == "error"]
    assert len(told) == 1, done.stderr
    assert told[0] == lines[-1]
    assert (told[0]["msg"], told[0]["role"]) == ("cannot run", arguments[0])
    assert not any("exception" in line for line in lines), done.stderr
    return str(told[0]["error"])


class Flags:
    """The flags of an API server that could run, to be spoilt by a test."""

    def __init__(self, folder: Path) -> None:
        home = Authority(folder / "pki")
        pair = home.issue("server", Identity("server", hosts=("127.0.0.1",)))
        self.values = {
            "tls-cert-file": pair.certificate, "tls-private-key-file": pair.key,
            "client-ca-file": home.pair.certificate, "service-account-signing-key-file": signing_key(folder / "sa.key"),
            "advertise-address": "192.0.2.1", "secure-port": free_port(), "store": f"sqlite://{folder}/store.db"}

    def but(self, **changes: Any) -> list[str]:
        values = self.values | {name.replace("_", "-"): value for name, value in changes.items()}
        return ["apiserver", *(f"--{name}={value}" for name, value in values.items())]


@pytest.fixture
def flags(tmp_path: Path) -> Flags:
    return Flags(tmp_path)


KUBECONFIGS = {
    "missing": (None, "does not exist; name one that does with --kubeconfig"),
    "not-yaml": ("a: [", "is damaged"),
    "a-list": ("[]", "is not a mapping"),
    "empty": ("", "no current context is set"),
    "sections": ("clusters: many", "clusters is not a list"),
    "no-server": ("current-context: a\ncontexts: [{name: a, context: {cluster: a}}]\nclusters: [{name: a}]\n",
                  "no server"),
    "no-address": ("current-context: a\ncontexts: [{name: a, context: {cluster: a}}]\n"
                   "clusters: [{name: a, cluster: {server: here}}]\n", "'here' is not an http(s) address"),
    "bad-ca": ("current-context: a\ncontexts: [{name: a, context: {cluster: a}}]\n"
               "clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1', certificate-authority-data: bm8=}}]\n",
               "cannot be loaded"),
}


@pytest.mark.parametrize("sort", KUBECONFIGS)
def test_a_kubeconfig_that_cannot_be_used(tmp_path: Path, sort: str) -> None:
    content, why = KUBECONFIGS[sort]
    file = tmp_path / "kubeconfig"
    if content is not None:
        file.write_text(content)
    assert why in complaint("scheduler", f"--kubeconfig={file}")


@pytest.mark.parametrize("role", ["controllers", "manager", "agent"])
def test_every_client_role_says_that_its_kubeconfig_is_missing(tmp_path: Path, role: str) -> None:
    more = {"manager": ["--scheduler-kubeconfig=/nonexistent"],
            "agent": ["--node-name=n", "--node-ip=192.0.2.1", "--runtime=simulated", f"--root-dir={tmp_path}/a",
                      f"--pod-logs-dir={tmp_path}/b"]}
    assert "/nonexistent does not exist" in complaint(role, "--kubeconfig=/nonexistent", *more.get(role, []))


def test_a_node_whose_folders_cannot_be_had() -> None:
    told = complaint("agent", "--node-name=n", "--node-ip=192.0.2.1", "--runtime=simulated", "--root-dir=/proc/no",
                     "--kubeconfig=/nonexistent")
    assert told == "cannot write to a folder of the node: /proc/no: No such file or directory"


def test_a_node_without_libnftables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])  # the role's log is this test's alone
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(nft, "LIBRARY", "libnftables-not-there.so.1")
    assert main.run(["agent", "--node-name=n", "--node-ip=192.0.2.1", "--kubeconfig=/nonexistent"]) == 1
    told = json.loads(capsys.readouterr().err)
    assert told["error"] == "libnftables-not-there.so.1 is not on this machine: apt-get install libnftables1"


def test_a_root_ca_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    kubeconfig.save(file, "a", kubeconfig.ClientConfig("https://127.0.0.1:1"))
    assert "cannot read --root-ca-file: /nonexistent: No such file" in complaint(
        "controllers", f"--kubeconfig={file}", "--root-ca-file=/nonexistent")


@pytest.mark.parametrize("flag", ["tls-cert-file", "tls-private-key-file", "client-ca-file",
                                  "service-account-signing-key-file", "encryption-key-file"])
@pytest.mark.parametrize("content", [None, "nonsense"], ids=["missing", "damaged"])
def test_files_of_the_api_server_that_cannot_be_used_are_named(
        tmp_path: Path, flags: Flags, flag: str, content: str | None) -> None:
    file = tmp_path / "spoilt"
    if content is not None:
        file.write_text(content)
    assert str(file) in complaint(*flags.but(**{flag: file}))


def test_the_certificate_for_kubelets_is_looked_at_before_it_is_needed(flags: Flags) -> None:
    assert "/nonexistent: No such file" in complaint(*flags.but(
        kubelet_client_certificate="/nonexistent", kubelet_client_key="/nonexistent"))


def test_a_port_that_is_taken(flags: Flags) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert complaint(*flags.but(secure_port=port)) == (
            f"cannot listen on port {port} of 127.0.0.1: Address already in use; "
            "end the program that listens there, or choose another port")


def test_an_address_that_is_not_of_this_machine(flags: Flags) -> None:
    assert "it is not an address of this machine" in complaint(*flags.but(bind_address="192.0.2.1"))


def test_a_store_that_is_none(tmp_path: Path, flags: Flags) -> None:
    (tmp_path / "store.db").write_text("this is not a database, and long enough to be looked at " * 20)
    assert "cannot be opened as a store: file is not a database" in complaint(*flags.but())


def test_a_store_of_another_program(tmp_path: Path, flags: Flags) -> None:
    with sqlite3.connect(tmp_path / "store.db") as other:
        other.execute("CREATE TABLE kine (id INTEGER)")
    other.close()
    assert "this program reads format" in complaint(*flags.but())


def test_a_folder_for_the_store_that_is_not_there(flags: Flags) -> None:
    assert "/nonexistent/store.db cannot be opened as a store" in complaint(
        *flags.but(store="sqlite:///nonexistent/store.db"))


@pytest.fixture
def written(tmp_path: Path, flags: Flags) -> Iterator[subprocess.Popen[bytes]]:
    """An API server with a store that holds a Secret, encrypted."""
    key = encryption_key(tmp_path / "first.key")
    with (tmp_path / "log").open("wb") as log:
        async def put() -> None:
            store = EncryptedStore(await SqliteStore.open(tmp_path / "store.db"), of_key(key))
            await store.write("/secrets/default/a", b'{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a",'
                              b'"namespace":"default"}}', expect=ABSENT)
            await store.close()

        asyncio.run(put())
        running = subprocess.Popen([sys.executable, "-m", "timonier", *flags.but(encryption_key_file=key)],
                                   stdout=log, stderr=log)
        deadline = time.monotonic() + LIMIT
        while b"api server ready" not in (tmp_path / "log").read_bytes():
            assert time.monotonic() < deadline
            assert running.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.02)
        yield running
        running.kill()
        running.wait()


def test_a_store_that_another_server_has_and_then_another_key(
        tmp_path: Path, flags: Flags, written: subprocess.Popen[bytes]) -> None:
    first, second = tmp_path / "first.key", encryption_key(tmp_path / "second.key")
    assert f"is in use by process {written.pid}; stop it first" in complaint(
        *flags.but(encryption_key_file=first, secure_port=free_port()))
    written.send_signal(signal.SIGTERM)
    assert written.wait(LIMIT) == 0
    for wrong in (flags.but(encryption_key_file=second), flags.but()):
        told = complaint(*wrong)
        assert "encrypted" in told
        assert "--encryption-key-file" in told


def test_a_log_level_that_is_none(flags: Flags) -> None:
    assert "must be one of debug, info, warning, error" in complaint(*flags.but(log_level="loud"))


def test_a_supervisor_without_its_cluster() -> None:
    assert complaint("supervise", "not-there") == "there is no cluster 'not-there'"


# Commands


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cluster_spec, "STATE", tmp_path / "state")
    monkeypatch.setattr(cluster_spec, "RUN", tmp_path / "run")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    return tmp_path


def test_a_command_that_may_not_read_says_so(home: Path, monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    def refused(name: str) -> None:
        raise PermissionError(13, "Permission denied", "/var/lib/timonier/x/cluster.json")

    monkeypatch.setattr("timonier.cluster.verbs.status.load", refused)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main.run(["status", "--name", "x"]) == 1
    assert capsys.readouterr().err == (
        "error: /var/lib/timonier/x/cluster.json: Permission denied; run this with sudo\n")


def test_a_full_disk_says_so(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(self: ClusterSpec) -> None:
        raise OSError(28, "No space left on device", str(self.state / "cluster.json.new"))

    monkeypatch.setattr("timonier.cluster.steps.check_host.CheckHost.do", lambda self, context: None)
    monkeypatch.setattr("timonier.cluster.verbs.start.check_root", lambda: None)
    monkeypatch.setattr(ClusterSpec, "save", full)
    assert main.run(["start", "--name", "x"]) == 1
    told = capsys.readouterr()
    assert told.err.endswith("cluster.json.new: No space left on device; free some space and run this again\n")
    assert "✗" in told.out


def test_who_is_not_root_is_told_before_anything_happens(monkeypatch: pytest.MonkeyPatch, home: Path,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for verb in ("start", "delete"):
        main.run([verb, "--name", "x"])
    assert "run this with sudo" in capsys.readouterr().err
    assert not (home / "state").exists()


@pytest.mark.parametrize("content", ["a: [", "clusters: [a, b]", "\x00", "contexts: {a: b}"])
def test_a_damaged_kubeconfig_of_the_user_is_left_alone(home: Path, content: str) -> None:
    file = home / "kubeconfig"
    file.write_text(content)
    identity = kubeconfig.ClientConfig("https://127.0.0.1:1")
    with pytest.raises(kubeconfig.ConfigError, match=str(file)):
        kubeconfig.save(file, "x", identity)
    context = Context(ClusterSpec("x"))
    WriteKubeconfig().undo(context)
    assert str(file) in context.notes[0]
    assert file.read_text() == content


def test_an_interrupted_start_says_how_to_go_on(home: Path, monkeypatch: pytest.MonkeyPatch,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(self: object, context: Context) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("timonier.cluster.verbs.start.check_root", lambda: None)
    monkeypatch.setattr("timonier.cluster.steps.check_host.CheckHost.do", interrupted)
    monkeypatch.setattr(sys, "argv", ["timonier", "start", "--name", "x"])
    with pytest.raises(SystemExit) as ended:
        main.command()
    assert ended.value.code == 130
    assert "`timonier start --name x` goes on from here" in capsys.readouterr().out


def test_who_stops_reading_gets_no_complaint(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "timonier"], stdout=writer, stderr=subprocess.PIPE, timeout=LIMIT,
                          check=False)
    os.close(writer)
    assert b"Traceback" not in done.stderr
