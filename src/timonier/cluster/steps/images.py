"""What every node holds from the beginning: the pause image, and what was loaded by hand on the others."""

from __future__ import annotations

import socket
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from timonier.cluster import containerd
from timonier.cluster.spec import ClusterError, ClusterSpec, NodeSpec
from timonier.cluster.steps.step import Context


class LoadPauseImage:
    title = "Loading the pause image"

    def do(self, context: Context) -> None:
        nodes = [node for node in context.spec.all_nodes if node.name not in context.spec.stopped]
        with tempfile.NamedTemporaryFile(suffix=".tar") as file, ThreadPoolExecutor(8) as pool:
            file.write(containerd.pause_archive())
            file.flush()
            loaded = list(pool.map(lambda node: load(context, node, Path(file.name)), nodes))
        giver = max(range(len(nodes)), key=lambda index: len(loaded[index]), default=0)
        for node, images in zip(nodes, loaded, strict=True):
            if not images and loaded[giver]:
                containerd.copy(context.spec, nodes[giver], node, loaded[giver])

    def undo(self, context: Context) -> None:
        """Images lie in the state folder and go with it."""


def load(context: Context, node: NodeSpec, file: Path) -> list[str]:
    """Load the pause image where it is missing; returns the images that were loaded on the node by hand."""
    wait_for_containerd(context.spec, node, context.timeout)
    names = containerd.ctr(context.spec, node, "images", "list", "--quiet").splitlines()
    if containerd.PAUSE_IMAGE not in names:
        containerd.load(context.spec, node, file)
    return containerd.loaded(names)


def wait_for_containerd(spec: ClusterSpec, node: NodeSpec, timeout: float) -> None:
    """Return once a node's containerd takes connections. Raises ClusterError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not listening(spec.containerd_socket(node)):
        if time.monotonic() > deadline:
            raise ClusterError(f"containerd of {node.name} did not start within {timeout:.0f} s; see why: "
                               f"timonier logs --name {spec.name} containerd-{node.name}")
        time.sleep(0.01)


def listening(path: Path) -> bool:
    """Whether somebody takes connections at a socket; the file alone may be left from one who was killed."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0
