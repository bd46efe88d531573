"""All controllers in one process, over shared mirrors."""

from __future__ import annotations

import asyncio
import logging
import os
import socket

from timonier.api.types import apps_v1, core_v1
from timonier.client import config as kubeconfig
from timonier.client.client import Client
from timonier.client.config import ClientConfig
from timonier.client.election import Election
from timonier.client.informer import SharedInformers
from timonier.controllers.deployment.controller import DeploymentController
from timonier.controllers.endpoints import EndpointsController
from timonier.controllers.endpointslice import EndpointSliceController
from timonier.controllers.endpointslicemirroring import EndpointSliceMirroringController
from timonier.controllers.garbage.controller import GarbageController
from timonier.controllers.namespace import NamespaceController, contents_by
from timonier.controllers.nodeipam import NodeIpamController
from timonier.controllers.nodelifecycle.eviction import TaintEvictionController
from timonier.controllers.nodelifecycle.health import NodeHealthController
from timonier.controllers.podgc import PodGarbageController
from timonier.controllers.replicaset import ReplicaSetController
from timonier.controllers.rootca import RootCaController
from timonier.controllers.serviceaccount import ServiceAccountController
from timonier.controllers.settings import ControllerSettings
from timonier.controllers.shared.discovered import Discovered
from timonier.kit.clock import Clock, SystemClock
from timonier.kit.fatal import needed
from timonier.reconcile.runner import Controller, Runner

log = logging.getLogger(__name__)

LEASE, NAMESPACE = "kube-controller-manager", "kube-system"


def chosen(settings: ControllerSettings, client: Client, discovered: Discovered, authority: str) -> list[Controller]:
    """The controllers that may work on several keys at a time."""
    return [
        NamespaceController(contents_by(client, discovered)),
        ServiceAccountController(),
        *([RootCaController(authority)] if authority else []),
        DeploymentController(),
        ReplicaSetController(apps_v1.ReplicaSet),
        ReplicaSetController(core_v1.ReplicationController),
        EndpointSliceController(),
        EndpointsController(),
        EndpointSliceMirroringController(),
        TaintEvictionController(),
        PodGarbageController(settings.terminated_pod_gc_threshold),
    ]


async def run(settings: ControllerSettings) -> None:
    """Run every controller until cancelled; with leader election, while holding the lease."""
    config = kubeconfig.load(settings.kubeconfig)
    authority = authority_of(settings, config)
    clock = SystemClock()
    async with Client(config, name=LEASE, clock=clock) as client:
        if not settings.leader_elect:
            await work(settings, client, clock, authority)
            return
        identity = f"{socket.gethostname()}_{os.getpid()}"
        await Election(client, LEASE, NAMESPACE, identity, clock).lead(
            lambda: work(settings, client, clock, authority))


def authority_of(settings: ControllerSettings, config: ClientConfig) -> str:
    """The CA (PEM) that is published to pods; empty for none."""
    if settings.root_ca_file is None:
        return config.certificate_authority.decode("ascii", "replace")
    with needed("cannot read --root-ca-file"):
        return settings.root_ca_file.read_bytes().decode("ascii", "replace")


async def work(settings: ControllerSettings, client: Client, clock: Clock, authority: str) -> None:
    informers, discovered = SharedInformers(client), Discovered(client)
    runner = Runner(client, informers, clock)
    for controller in chosen(settings, client, discovered, authority):
        runner.add(controller)
    runner.add(NodeHealthController(settings.node_monitor_grace_period), workers=1)
    if settings.allocate_node_cidrs:
        runner.add(NodeIpamController(settings.cluster_cidr, settings.node_cidr_mask_size), workers=1)
    garbage = GarbageController(informers, discovered, clock)
    garbage.enqueue = runner.add(garbage).queue.add
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run(), name="controllers")
        await informers.synced()
        group.create_task(garbage.follow(), name="garbage kinds")
        log.info("controllers are running", extra={"controllers": [*runner.counts]})
