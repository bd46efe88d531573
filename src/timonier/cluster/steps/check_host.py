"""Is this machine able to run a cluster? All that is missing is said at once, with the command that installs it."""

from __future__ import annotations

import ctypes.util
import errno
import os
import shutil
import socket

from timonier.cluster import containerd, supervisor
from timonier.cluster.spec import ClusterError, ClusterSpec
from timonier.cluster.steps.step import Context

PACKAGES = {"containerd": "containerd", "ctr": "containerd", "runc": "runc", "ip": "iproute2", "nsenter": "util-linux"}
"""The Debian package of each program that a cluster calls."""


class CheckHost:
    title = "Checking the machine"

    def do(self, context: Context) -> None:
        check_root()
        if packages := missing_packages():
            raise ClusterError(f"missing on this machine: {', '.join(packages)}; install with:\n"
                               f"  apt-get install --no-install-recommends {' '.join(packages)}")
        if supervisor.component_pids(context.spec).get("apiserver") is None:
            check_port(context.spec)

    def undo(self, context: Context) -> None:
        check_root()


def check_root() -> None:
    if os.geteuid() != 0:
        raise ClusterError("clusters are made of namespaces and mounts, which need root; run this with sudo")


def missing_packages() -> list[str]:
    """Debian packages whose programs or libraries are not here, in alphabetical order."""
    missing = {package for program, package in PACKAGES.items() if shutil.which(program) is None}
    if ctypes.util.find_library("nftables") is None:
        missing.add("libnftables1")
    try:
        containerd.cni_plugins()
    except ClusterError:
        missing.add("containernetworking-plugins")
    return sorted(missing)


def check_port(spec: ClusterSpec) -> None:
    """Raises ClusterError where another program listens on the API server's port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", spec.api_port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise ClusterError(f"port {spec.api_port} of 127.0.0.1 is taken by another program; choose another with "
                               f"--api-port, or see who has it: ss -ltnp 'sport = :{spec.api_port}'") from error
