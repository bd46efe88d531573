"""A containerd of its own in a network namespace of its own, with one busybox image."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from support import machine

from timonier.cluster import cgroups
from timonier.cluster.containerd import PAUSE_IMAGE, cni_plugins, pause_archive
from timonier.cluster.images.archive import archive
from timonier.cluster.images.busybox import busybox

NAMESPACE = f"{machine.PREFIX}-containerd"
CGROUP = f"/{machine.PREFIX}/pods"
"""Where tests put their pods. It goes with containerd, and everything that still runs in it."""
IMAGE = "docker.io/library/test-busybox:1"

CONFIG = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{folder}/cni"
"""


def network(folder: Path) -> str:
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [
        {"type": "bridge", "bridge": "pods", "isGateway": True, "hairpinMode": True,
         "ipam": {"type": "host-local", "dataDir": str(folder / "ipam"), "ranges": [[{"subnet": "10.83.0.0/24"}]],
                  "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "loopback"}]})


@contextlib.contextmanager
def containerd(folder: Path) -> Iterator[Path]:
    """A running containerd in the network namespace `NAMESPACE`; its socket."""
    (folder / "cni").mkdir()
    (folder / "cni" / "10-pods.conflist").write_text(network(folder))
    (folder / "config.toml").write_text(CONFIG.format(folder=folder, pause=PAUSE_IMAGE, cni=cni_plugins()))
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True, timeout=30)
    process = None
    try:
        subprocess.run(["ip", "-n", NAMESPACE, "link", "set", "lo", "up"], check=True, timeout=30)
        with (folder / "containerd.log").open("wb") as log:
            group = cgroups.make(f"{machine.PREFIX}/containerd")
            process = subprocess.Popen(
                ["sh", "-c", 'echo $$ > "$0"; exec "$@"', str(group / "cgroup.procs"), "nsenter",
                 f"--net=/run/netns/{NAMESPACE}", "containerd", "--config", str(folder / "config.toml")],
                stdout=log, stderr=log)
        load(folder)
        yield folder / "containerd.sock"
    finally:
        if process is not None:
            process.terminate()
            process.wait(20)
        machine.remove(os.getpid())


def load(folder: Path) -> None:
    (folder / "images.tar").write_bytes(archive(busybox(IMAGE)))
    (folder / "pause.tar").write_bytes(pause_archive())
    for file in ("images.tar", "pause.tar"):
        for _ in range(100):
            done = subprocess.run(["ctr", "-a", str(folder / "containerd.sock"), "-n", "k8s.io", "images", "import",
                                   str(folder / file)], capture_output=True, timeout=60, check=False)
            if done.returncode == 0:
                break
            time.sleep(0.1)
        else:
            raise RuntimeError(done.stderr.decode())
