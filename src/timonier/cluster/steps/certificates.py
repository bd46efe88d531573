"""Keys, certificates and kubeconfigs of every part."""

from __future__ import annotations

from timonier.cluster import containerd, identities
from timonier.cluster.steps.step import Context


class MakeCertificates:
    title = "Making certificates"

    def do(self, context: Context) -> None:
        identities.make(context.spec)
        for node in context.spec.all_nodes:
            containerd.configure(context.spec, node)

    def undo(self, context: Context) -> None:
        """They lie in the state folder and go with it."""
