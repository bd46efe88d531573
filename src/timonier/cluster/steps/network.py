"""The bridge and the nodes' network namespaces."""

from __future__ import annotations

from timonier.cluster.drivers import netns
from timonier.cluster.steps.step import Context


class MakeNetwork:
    title = "Connecting nodes"

    def do(self, context: Context) -> None:
        netns.create(context.spec)

    def undo(self, context: Context) -> None:
        netns.delete(context.spec)
