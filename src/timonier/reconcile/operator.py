"""An operator: controllers of one's own in a process of their own, against any Kubernetes.

`operate(Baskets())` is the whole `main` of one. It finds the cluster as kubectl does, or by the service account of the
pod that it runs in; with a lease several copies may stand by, of which one works.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

from timonier.client.client import Client
from timonier.client.election import Election
from timonier.client.informer import SharedInformers
from timonier.kit import kubeconfig
from timonier.kit.clock import SystemClock
from timonier.kit.kubeconfig import SERVICE_ACCOUNT, ClientConfig
from timonier.reconcile.runner import Controller, Runner


def operate(*controllers: Controller, lease: str = "", namespace: str = "default") -> None:
    """Run controllers until SIGTERM or SIGINT. Raises ConfigError where no cluster is found.

    `lease` names a Lease in `namespace` that the one that works holds.
    """
    config = found()
    try:
        asyncio.run(until_told(config, controllers, lease, namespace))
    except asyncio.CancelledError:
        return


def found() -> ClientConfig:
    """The cluster of the pod that this runs in, or the one that kubectl would take."""
    return kubeconfig.in_cluster() if Path(SERVICE_ACCOUNT, "token").exists() else kubeconfig.load()


async def until_told(config: ClientConfig, controllers: tuple[Controller, ...], lease: str, namespace: str) -> None:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    await run(config, controllers, lease, namespace)


async def run(config: ClientConfig, controllers: tuple[Controller, ...], lease: str = "",
              namespace: str = "default") -> None:
    """Run controllers until cancelled."""
    clock = SystemClock()
    async with Client(config, name=lease or controllers[0].name, clock=clock) as client:
        async def work() -> None:
            runner = Runner(client, SharedInformers(client), clock)
            for controller in controllers:
                runner.add(controller)
            await runner.run()

        if not lease:
            await work()
            return
        identity = f"{socket.gethostname()}_{os.getpid()}"
        await Election(client, lease, namespace, identity, clock).lead(work)
