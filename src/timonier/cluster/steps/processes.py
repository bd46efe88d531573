"""The supervisor, and through it every process of the cluster."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

from timonier.cluster import cgroups, mounts, supervisor
from timonier.cluster.components import program
from timonier.cluster.spec import ClusterError, ClusterSpec
from timonier.cluster.steps.step import Context

STOP_LIMIT = 60.0
"""Seconds that the supervisor has to stop everything in order; what is left then is killed."""


class StartProcesses:
    title = "Starting API server, manager and nodes"

    def do(self, context: Context) -> None:
        spec = context.spec
        pid = supervisor.running(spec)
        if pid is not None:
            os.kill(pid, signal.SIGHUP)
            return
        spec.logs.mkdir(parents=True, exist_ok=True)
        with (spec.logs / "supervisor.log").open("ab") as output:
            subprocess.Popen([*program("supervise"), spec.name], stdin=subprocess.DEVNULL, stdout=output,
                             stderr=output, start_new_session=True, cwd="/")

    def undo(self, context: Context) -> None:
        stop(context.spec)


def stop(spec: ClusterSpec) -> None:
    """End every process of the cluster: in order where the supervisor lives, by force what is left. Then unmount."""
    pid = supervisor.running(spec)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_LIMIT
        while supervisor.running(spec) is not None and time.monotonic() < deadline:
            time.sleep(0.02)
    end_group(spec, spec.cgroup)
    for folder in (spec.run, spec.state):
        mounts.unmount(folder)


def end_group(spec: ClusterSpec, group: str) -> None:
    """Kill what lives in a control group of the cluster and remove the group."""
    try:
        cgroups.kill(group)
        cgroups.remove(group)
    except TimeoutError as error:
        raise ClusterError(f"cluster {spec.name}: {error}") from error
