"""The user's kubeconfig: a context for the cluster, made current."""

from __future__ import annotations

import os
from pathlib import Path

from timonier.cluster import identities
from timonier.cluster.spec import ClusterError
from timonier.cluster.steps.step import Context
from timonier.kit import kubeconfig


class WriteKubeconfig:
    title = "Writing the kubeconfig"

    def do(self, context: Context) -> None:
        path = user_kubeconfig()
        try:
            kubeconfig.save(path, context.spec.name, identities.administrator(context.spec))
        except kubeconfig.ConfigError as error:
            raise ClusterError(f"{error}; repair it or move it away, then run this again") from error
        give_to_caller(path)
        context.notes.append(f'kubectl now speaks to cluster "{context.spec.name}" (context in {path})')

    def undo(self, context: Context) -> None:
        path = user_kubeconfig()
        try:
            kubeconfig.remove(path, context.spec.name)
        except kubeconfig.ConfigError as error:
            context.notes.append(f'Context "{context.spec.name}" was left in the kubeconfig: {error}')


def user_kubeconfig() -> Path:
    """The file that kubectl of the person behind this command reads: theirs, too, where they used sudo."""
    if listed := os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]:
        return Path(listed)
    home = os.path.expanduser("~" + os.environ.get("SUDO_USER", ""))
    return Path(home) / ".kube" / "config"


def give_to_caller(path: Path) -> None:
    """A file made under sudo belongs to the person who called sudo."""
    if "SUDO_UID" in os.environ and "SUDO_GID" in os.environ:
        for target in (path.parent, path):
            os.chown(target, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))
