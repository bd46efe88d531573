"""A control plane without nodes, as processes of its own: API server and controllers over TLS on loopback.

It needs no root. Unmodified clients reach it with `kubeconfig`; pods are stored, bound by nobody, and never run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from support.cluster import Done, run
from support.kubectl import NEWEST, kubectl
from support.ports import free_port

from timonier.apiserver.settings import ApiServerSettings
from timonier.cluster.certificates import Authority, Identity, Pair, signing_key
from timonier.controllers.settings import ControllerSettings
from timonier.kit import kubeconfig
from timonier.kit.kubeconfig import ClientConfig
from timonier.kit.settings import to_arguments

START_SECONDS = 30.0
END_SECONDS = 15.0
IDENTITIES = {
    "admin": Identity("kubernetes-admin", groups=("system:masters",)),
    "controllers": Identity("system:kube-controller-manager"),
    "scheduler": Identity("system:kube-scheduler"),
}


@dataclass
class ControlPlane:
    """The processes and the files that they were made from, all in one folder."""

    folder: Path
    port: int = field(default_factory=free_port)
    extra: dict[str, object] = field(default_factory=dict)
    """Settings of the API server beside those that it needs."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.authority = Authority(self.folder)
        self.server_pair = self.authority.issue("server", Identity("kube-apiserver", hosts=("127.0.0.1", "localhost")))
        signing_key(self.folder / "sa.key")
        for name, identity in IDENTITIES.items():
            self.identify(name, identity)
        self.env = os.environ | {"HOME": str(self.folder), "KUBECONFIG": str(self.kubeconfig)}

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "admin.kubeconfig"

    def identify(self, name: str, identity: Identity) -> Path:
        """A kubeconfig for an identity, in a file of that name."""
        pair: Pair = self.authority.issue(name, identity)
        path = self.folder / f"{name}.kubeconfig"
        kubeconfig.save(path, name, ClientConfig(
            server=self.url, certificate_authority=self.authority.pair.certificate.read_bytes(),
            client_certificate=pair.certificate.read_bytes(), client_key=pair.key.read_bytes()))
        return path

    @property
    def settings(self) -> ApiServerSettings:
        made = ApiServerSettings(
            tls_cert_file=self.server_pair.certificate, tls_private_key_file=self.server_pair.key,
            client_ca_file=self.authority.pair.certificate, service_account_signing_key_file=self.folder / "sa.key",
            advertise_address="192.0.2.1", store=f"sqlite://{self.folder / 'store.db'}", secure_port=self.port)
        return replace(made, **self.extra)  # type: ignore[arg-type]

    def start_api_server(self) -> None:
        self.start("apiserver", *to_arguments(self.settings))

    def start_manager(self) -> None:
        ca = self.authority.pair
        settings = ControllerSettings(
            kubeconfig=self.folder / "controllers.kubeconfig", root_ca_file=ca.certificate,
            cluster_signing_cert_file=ca.certificate, cluster_signing_key_file=ca.key,
            service_account_private_key_file=self.folder / "sa.key")
        self.start("manager", *to_arguments(settings), "--scheduler-kubeconfig",
                   str(self.folder / "scheduler.kubeconfig"))

    def start(self, role: str, *arguments: str) -> None:
        with (self.folder / f"{role}.log").open("ab") as log:
            self.processes[role] = subprocess.Popen([sys.executable, "-m", "timonier", role, *arguments],
                                                    stdout=log, stderr=log, env=self.env)

    def listening(self) -> None:
        """Return when the API server accepts connections."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert self.processes["apiserver"].poll() is None, self.log("apiserver")
            assert time.monotonic() < deadline, self.log("apiserver")
            time.sleep(0.01)

    def log(self, role: str) -> str:
        return (self.folder / f"{role}.log").read_text()[-4000:]

    def kill(self, role: str) -> None:
        """End a process without a word of warning."""
        self.end(role, signal.SIGKILL)

    def end(self, role: str, by: signal.Signals = signal.SIGTERM) -> None:
        process = self.processes.pop(role)
        process.send_signal(by)
        process.wait(END_SECONDS)

    def kubectl(self, *arguments: str, stdin: str = "", version: str = NEWEST, check: bool = True,
                timeout: float = 60) -> Done:
        return run([str(kubectl(version)), *arguments], env=self.env, stdin=stdin, timeout=timeout, check=check)

    def run(self, *command: str, stdin: str = "", check: bool = True, timeout: float = 60, **env: str) -> Done:
        """A client that finds the cluster by KUBECONFIG."""
        return run([*command], env=self.env | env, stdin=stdin, timeout=timeout, check=check)


@contextlib.contextmanager
def control_plane(folder: Path, *, manager: bool = True, **extra: object) -> Iterator[ControlPlane]:
    """A control plane that answers, ended with the block. `extra` are settings of the API server."""
    made = ControlPlane(folder, extra=extra)
    try:
        made.start_api_server()
        if manager:
            made.start_manager()
        made.listening()
        yield made
    finally:
        for role in [*made.processes]:
            made.end(role)
