"""A containerd of its own in a network namespace of its own, with one busybox image, for tests of streams."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from timonier.cluster.containerd import PAUSE_IMAGE, cni_plugins, pause_archive
from timonier.cluster.images.archive import archive
from timonier.cluster.images.busybox import busybox

CGROUPS, CGROUP = Path("/sys/fs/cgroup"), "strm-tests"
"""Where the tests' pods are counted."""
IMAGE = "docker.io/library/strm-busybox:1"

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
NETWORK = {"cniVersion": "1.0.0", "name": "strm", "plugins": [
    {"type": "bridge", "bridge": "strm-br", "isGateway": True, "hairpinMode": True,
     "ipam": {"type": "host-local", "dataDir": "", "ranges": [[{"subnet": "10.83.0.0/24"}]],
              "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "loopback"}]}


def sh(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@contextlib.contextmanager
def containerd(folder: Path, name: str) -> Iterator[Path]:
    """A running containerd in network namespace `name`; its socket."""
    network = json.loads(json.dumps(NETWORK))
    network["plugins"][0]["ipam"]["dataDir"] = str(folder / "ipam")
    (folder / "cni").mkdir()
    (folder / "cni" / "10-strm.conflist").write_text(json.dumps(network))
    (folder / "config.toml").write_text(CONFIG.format(folder=folder, pause=PAUSE_IMAGE, cni=cni_plugins()))
    sh("ip", "netns", "add", name)
    process = None
    try:
        sh("ip", "-n", name, "link", "set", "lo", "up")
        with (folder / "containerd.log").open("wb") as log:
            process = subprocess.Popen(["nsenter", f"--net=/run/netns/{name}", "containerd", "--config",
                                        str(folder / "config.toml")], stdout=log, stderr=log)
        load(folder)
        yield folder / "containerd.sock"
    finally:
        if process is not None:
            process.terminate()
            process.wait(20)
        tidy(folder)
        sh("ip", "netns", "delete", name)


def load(folder: Path) -> None:
    images = folder / "images.tar"
    images.write_bytes(archive(busybox(IMAGE)))
    (folder / "pause.tar").write_bytes(pause_archive())
    for file in (images, folder / "pause.tar"):
        for _ in range(100):
            done = subprocess.run(["ctr", "-a", str(folder / "containerd.sock"), "-n", "k8s.io", "images", "import",
                                   str(file)], capture_output=True, timeout=60, check=False)
            if done.returncode == 0:
                break
            time.sleep(0.1)
        else:
            raise RuntimeError(done.stderr.decode())


def tidy(folder: Path) -> None:
    """End the shims that are left, and remove what they had mounted and counted."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"-address\0{folder}/containerd.sock" in (process / "cmdline").read_text():
                os.kill(int(process.name), 9)
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        mountpoint = line.split()[1]
        if mountpoint.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", mountpoint], check=False, capture_output=True, timeout=20)
    for group in (*CGROUPS.glob(f"*/{CGROUP}"), CGROUPS / CGROUP):
        for inner, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(inner).rmdir()
