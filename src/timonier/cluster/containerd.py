"""A node's containerd: its configuration, and loading images into it.

Each node has a containerd of its own, so that a node's pods, images and network are as separate as on machines of
their own.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from timonier.cluster.images.archive import File, Image, archive
from timonier.cluster.images.pause import program
from timonier.cluster.spec import ClusterError, ClusterSpec, NodeSpec

PAUSE_IMAGE = "timonier.local/pause:1"
NAMESPACE = "k8s.io"
"""Where containerd keeps what belongs to Kubernetes."""
CAP_SYS_RESOURCE = 24
IMPORT_LIMIT = 600.0
"""Seconds that importing one archive may take."""

CONFIG = """\
version = 2
root = "{state}/containerd"
state = "{run}/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  netns_mounts_under_state_dir = true
  max_container_log_line_size = 16384
  restrict_oom_score_adj = {restrict}

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_bin}"
    conf_dir = "{state}/cni"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{registries}"
"""
CNI_RESULTS = Path("/var/lib/cni/results")
MACHINE_RUN = Path("/run/containerd")
"""Where shims and runc keep things, whichever containerd they work for."""
CNI_PLUGINS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
REGISTRIES = Path("/etc/containerd/certs.d")


def configure(spec: ClusterSpec, node: NodeSpec) -> Path:
    """Write a node's `containerd.toml`; registry mirrors are those of the machine (`/etc/containerd/certs.d`)."""
    state, run = spec.node_state(node), spec.node_run(node)
    for folder in (state / "containerd", state / "cni", run / "containerd"):
        folder.mkdir(parents=True, exist_ok=True)
    file = state / "containerd.toml"
    file.write_text(CONFIG.format(state=state, run=run, socket=spec.containerd_socket(node), pause=PAUSE_IMAGE,
                                  cni_bin=cni_plugins(), snapshotter="overlayfs", registries=REGISTRIES,
                                  restrict=str(not may_spare_processes()).lower()))
    return file


def may_spare_processes() -> bool:
    """Whether we may lower a process's OOM score (CAP_SYS_RESOURCE), without which runc fails where it is asked to."""
    status = Path("/proc/self/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> CAP_SYS_RESOURCE & 1)


def cni_plugins() -> Path:
    """Where the machine keeps its CNI plugins. Raises ClusterError where it has none."""
    for folder in CNI_PLUGINS:
        if (folder / "bridge").exists():
            return folder
    raise ClusterError("the CNI plugins are missing; install them: apt-get install containernetworking-plugins")


def ctr(spec: ClusterSpec, node: NodeSpec, *arguments: str, limit: float = 60.0) -> str:
    """What `ctr` prints for a node's containerd. Raises ClusterError with what it complained of."""
    command = ["ctr", "--address", str(spec.containerd_socket(node)), "--namespace", NAMESPACE, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"containerd of {node.name} did not answer within {limit:.0f} s") from error
    if done.returncode:
        raise ClusterError(f"containerd of {node.name}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def load(spec: ClusterSpec, node: NodeSpec, file: Path) -> list[str]:
    """Import an archive (`docker save` or OCI layout, plain or gzip); returns the names that it brought."""
    output = ctr(spec, node, "images", "import", "--snapshotter", "overlayfs", str(file), limit=IMPORT_LIMIT)
    return [line.split()[1] for line in output.splitlines() if line.startswith("unpacking ")]


def loaded(names: list[str]) -> list[str]:
    """Of the names that a containerd holds, those that were loaded by hand: pulls leave a digest beside the name."""
    pulled = {name.partition("@")[0] for name in names if "@sha256:" in name}
    return [name for name in names if not is_internal(name) and name.rpartition(":")[0] not in pulled]


def copy(spec: ClusterSpec, giver: NodeSpec, taker: NodeSpec, names: list[str]) -> None:
    """Have images of one node on another."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        ctr(spec, giver, "images", "export", file.name, *names, limit=IMPORT_LIMIT)
        load(spec, taker, Path(file.name))


def images(spec: ClusterSpec, node: NodeSpec) -> list[str]:
    """The names of the images that a node holds."""
    return [name for name in ctr(spec, node, "images", "list", "--quiet").splitlines() if not is_internal(name)]


def forget_networks(spec: ClusterSpec, node: NodeSpec) -> None:
    """Remove what CNI remembers of the node's sandboxes in the machine's own folder, which containerd cannot move.

    A sandbox that ends in order is forgotten by the plugins themselves; this is for those that were killed.
    """
    sandboxes = spec.node_state(node) / "containerd" / "io.containerd.grpc.v1.cri" / "sandboxes"
    killed = {folder.name for folder in sandboxes.glob("*")}
    for result in CNI_RESULTS.glob("*-*"):
        if any(sandbox in result.name for sandbox in killed):
            result.unlink(missing_ok=True)
    remove_empty(CNI_RESULTS, CNI_RESULTS.parent)


def forget_shims(spec: ClusterSpec, node: NodeSpec) -> None:
    """Remove what is left of the node's killed containers in the machine's own folder: runc's states, shims' sockets.

    The name of a socket is a hash; only the container's own folder tells it.
    """
    states = MACHINE_RUN / "runc" / NAMESPACE
    for container in (spec.node_run(node) / "containerd" / "io.containerd.runtime.v2.task" / NAMESPACE).glob("*"):
        shutil.rmtree(states / container.name, ignore_errors=True)
        with contextlib.suppress(OSError):
            socket = Path((container / "address").read_text().strip().removeprefix("unix://"))
            if socket.parent == MACHINE_RUN / "s":
                socket.unlink(missing_ok=True)
    remove_empty(states, states.parent, MACHINE_RUN / "s", MACHINE_RUN / "fifo", MACHINE_RUN)


def remove_empty(*folders: Path) -> None:
    """Remove those folders in which nothing else on the machine keeps anything."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def is_internal(name: str) -> bool:
    """Names that containerd gives to image ids beside their real ones, and our own pause image."""
    return name.startswith("sha256:") or "@sha256:" in name or name == PAUSE_IMAGE


def pause_archive() -> bytes:
    """The image whose only program holds a pod's namespaces."""
    return archive(Image(PAUSE_IMAGE, {"/pause": File(program(), 0o755)}, entrypoint=["/pause"], user="65535:65535"))
