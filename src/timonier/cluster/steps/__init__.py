"""Starting a cluster is this list of steps, and deleting it is the same list backwards.

A step makes what is missing and leaves what is there, so starting a half-dead cluster repairs it. `undo` removes what
the step makes and does not miss what is gone, so deleting needs nothing to be whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from timonier.cluster.steps import (
    addons,
    certificates,
    check_host,
    images,
    kubeconfig,
    network,
    processes,
    ready,
    remember,
)
from timonier.cluster.steps.step import Context, Step

RESERVE: Sequence[Step] = (
    check_host.CheckHost(),
    remember.RememberSpec(),
)
"""Until the cluster has its index, its port and its folders: quick, and never two at a time on one machine."""

BUILD: Sequence[Step] = (
    certificates.MakeCertificates(),
    network.MakeNetwork(),
    processes.StartProcesses(),
    images.LoadPauseImage(),
    kubeconfig.WriteKubeconfig(),
    addons.WaitForApi(),
    addons.InstallAddons(),
    ready.WaitForNodes(),
    ready.WaitForDns(),
)

START: Sequence[Step] = (*RESERVE, *BUILD)

__all__ = ["BUILD", "RESERVE", "START", "Context", "Step"]
