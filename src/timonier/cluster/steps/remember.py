"""The spec on disk: what makes a cluster exist, and what the supervisor reads."""

from __future__ import annotations

import contextlib
import os
import shutil

from timonier.cluster import containerd, mounts
from timonier.cluster.spec import RUN, STATE, ClusterError
from timonier.cluster.steps.step import Context


class RememberSpec:
    title = "Preparing the cluster's folders"

    def do(self, context: Context) -> None:
        os.makedirs(context.spec.state, mode=0o700, exist_ok=True)
        os.makedirs(context.spec.run, mode=0o700, exist_ok=True)
        context.spec.save()

    def undo(self, context: Context) -> None:
        """Remove the folders. Refuses while anything is mounted in them: that would delete what is mounted."""
        spec = context.spec
        if left := mounts.below(spec.run) + mounts.below(spec.state):
            raise ClusterError(f"still mounted: {', '.join(map(str, left))}")
        for node in spec.all_nodes:
            containerd.forget_networks(spec, node)
            containerd.forget_shims(spec, node)
        for folder in (spec.run, spec.state):
            if folder.exists():
                shutil.rmtree(folder)
        for parent in (RUN, STATE):
            with contextlib.suppress(OSError):
                parent.rmdir()  # the last cluster leaves nothing
