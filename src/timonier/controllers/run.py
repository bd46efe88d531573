"""All controllers in one process, over shared mirrors."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from functools import partial

from timonier.api.types import apps_v1, core_v1
from timonier.api.types.authorization_v1 import SubjectAccessReview
from timonier.client.client import Client
from timonier.client.election import Election
from timonier.client.informer import SharedInformers
from timonier.component.showing import showing
from timonier.component.shown import Shown, configuration
from timonier.controllers.certificates.approving import ApprovingController
from timonier.controllers.certificates.authority import Authority
from timonier.controllers.certificates.bundles import BundlePublisher
from timonier.controllers.certificates.cleaning import CleaningController, PodRequestCleaner
from timonier.controllers.certificates.signing import SigningController
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
from timonier.controllers.policystatus import PolicyStatusController
from timonier.controllers.protection import (
    AttributesClassProtectionController,
    ClaimProtectionController,
    VolumeProtectionController,
)
from timonier.controllers.replicaset import ReplicaSetController
from timonier.controllers.resourcequota.controller import ResourceQuotaController, quotas_of
from timonier.controllers.resourcequota.mirrors import Counted
from timonier.controllers.rootca import RootCaController
from timonier.controllers.serviceaccount import ServiceAccountController
from timonier.controllers.settings import ControllerSettings
from timonier.controllers.shared.discovered import Discovered
from timonier.controllers.tokens.accounts import TokensController
from timonier.controllers.tokens.bootstrap import BootstrapSigner, TokenCleaner
from timonier.kit import kubeconfig
from timonier.kit.clock import Clock, SystemClock
from timonier.kit.fatal import needed
from timonier.kit.jws import Keyring
from timonier.kit.kubeconfig import ClientConfig
from timonier.reconcile.metrics import render
from timonier.reconcile.runner import Controller, Runner

log = logging.getLogger(__name__)

LEASE, NAMESPACE = "kube-controller-manager", "kube-system"
CONFIGURATION, SYNCED = "kubecontrollermanager.config.k8s.io", "controllers-informer-sync"
"""What /configz and /readyz call it."""


def chosen(settings: ControllerSettings, client: Client, discovered: Discovered, authority: str) -> list[Controller]:
    """The controllers that may work on several keys at a time."""
    return [
        NamespaceController(contents_by(client, discovered)),
        ServiceAccountController(),
        *([RootCaController(authority)] if authority else []),
        *trusting(settings, client, authority),
        DeploymentController(),
        ReplicaSetController(apps_v1.ReplicaSet),
        ReplicaSetController(core_v1.ReplicationController),
        EndpointSliceController(),
        EndpointsController(),
        EndpointSliceMirroringController(),
        TaintEvictionController(),
        PodGarbageController(settings.terminated_pod_gc_threshold),
        PolicyStatusController(),
        ClaimProtectionController(),
        VolumeProtectionController(),
        AttributesClassProtectionController(),
    ]


def trusting(settings: ControllerSettings, client: Client, authority: str) -> list[Controller]:
    """The controllers of certificates and tokens; those that sign run where there is a key to sign with."""
    found: list[Controller] = [ApprovingController(partial(allowed, client)), CleaningController(),
                               PodRequestCleaner(), TokenCleaner(), BootstrapSigner()]
    if authority:
        found.append(BundlePublisher(authority))
    if settings.cluster_signing_cert_file is not None and settings.cluster_signing_key_file is not None:
        found.append(SigningController(Authority.from_files(
            settings.cluster_signing_cert_file, settings.cluster_signing_key_file, settings.cluster_signing_duration)))
    if settings.service_account_private_key_file is not None:
        found.append(TokensController(Keyring.from_files(settings.service_account_private_key_file),
                                      authority.encode()))
    return found


async def allowed(client: Client, review: SubjectAccessReview) -> bool:
    return (await client.create(review)).status.allowed


async def run(settings: ControllerSettings, shown: Shown | None = None) -> None:
    """Run every controller until cancelled; with leader election, while holding the lease.

    What there is to show is added to `shown`, and all of it served where the settings say so.
    """
    config = kubeconfig.load(settings.kubeconfig)
    authority = authority_of(settings, config)
    clock, shown = SystemClock(), shown or Shown()
    shown.configuration[CONFIGURATION] = configuration(settings)
    async with Client(config, name=LEASE, clock=clock) as client, showing(settings, shown, client):
        if not settings.leader_elect:
            await work(settings, client, clock, authority, shown)
            return
        identity = f"{socket.gethostname()}_{os.getpid()}"
        await Election(client, LEASE, NAMESPACE, identity, clock).lead(
            lambda: work(settings, client, clock, authority, shown))


def authority_of(settings: ControllerSettings, config: ClientConfig) -> str:
    """The CA (PEM) that is published to pods; empty for none."""
    if settings.root_ca_file is None:
        return config.certificate_authority.decode("ascii", "replace")
    with needed("cannot read --root-ca-file"):
        return settings.root_ca_file.read_bytes().decode("ascii", "replace")


async def work(settings: ControllerSettings, client: Client, clock: Clock, authority: str, shown: Shown) -> None:
    informers, discovered = SharedInformers(client), Discovered(client)
    runner = Runner(client, informers, clock)
    for controller in chosen(settings, client, discovered, authority):
        runner.add(controller)
    runner.add(NodeHealthController(settings.node_monitor_grace_period), workers=1)
    if settings.allocate_node_cidrs:
        runner.add(NodeIpamController(settings.cluster_cidr, settings.node_cidr_mask_size), workers=1)
    counted = Counted(informers, discovered)
    quotas = runner.add(ResourceQuotaController(counted))
    counted.changed = lambda namespace: [*map(quotas.queue.add, quotas_of(namespace, quotas.snapshot))]
    garbage = GarbageController(informers, discovered, clock)
    garbage.enqueue = runner.add(garbage).queue.add
    shown.clients.append(client.requests)
    shown.metrics["controllers"] = lambda: render(runner.counts)
    shown.unready[SYNCED] = "the mirrors are not filled yet"
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run(), name="controllers")
        await informers.synced()
        shown.unready[SYNCED] = ""
        group.create_task(garbage.follow(), name="garbage kinds")
        log.info("controllers are running", extra={"controllers": [*runner.counts]})
