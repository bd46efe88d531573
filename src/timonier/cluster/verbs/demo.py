"""demo: run a small web application on the cluster, and delete one of its pods while requests go on.

The application's image is made here, from busybox; nothing is fetched.

Exit code 1 where a request failed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from timonier.api.errors import NotFound
from timonier.api.types import apps_v1, core_v1, meta_v1
from timonier.client.client import Client
from timonier.cluster import api, containerd
from timonier.cluster.images.archive import archive
from timonier.cluster.images.web import PORT, web
from timonier.cluster.spec import ClusterSpec
from timonier.cluster.steps.ready import running_nodes
from timonier.cluster.verbs.common import DEFAULT, existing, name_argument, say, step
from timonier.kit.http import Connections, HttpError

T = TypeVar("T")

NAMESPACE, APP, NODE_PORT, REPLICAS = "default", "web", 30080, 3
LIMIT = 60.0
BETWEEN_REQUESTS = 0.01
LABELS = {"app": APP}
DRAIN_SECONDS = 2
"""A pod that ends serves on for so long, until every proxy has heard that it is gone."""


@dataclass(slots=True)
class Traffic:
    """Requests, one after another, each on a connection of its own as from a new visitor."""

    url: str
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    async def flow(self) -> None:
        while True:
            await self.one()
            await asyncio.sleep(BETWEEN_REQUESTS)

    async def one(self) -> str:
        connections = Connections(None)
        try:
            response = await connections.request("GET", self.url, {}, None)
            text = response.body.decode(errors="replace").strip()
            if response.status == 200:
                self.answers[text] += 1
            else:
                self.failures.append(f"HTTP {response.status}")
            return text
        except HttpError as error:
            self.failures.append(str(error))
            return ""
        finally:
            await connections.close()


def arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser)


def run(args: argparse.Namespace) -> int:
    spec = existing(args.name)
    traffic = Traffic(f"http://{spec.node(1).address}:{NODE_PORT}/")
    say(f'A web application on cluster "{spec.name}"')
    step("Making its image and loading it into every node", lambda: load_image(spec))
    step("Creating Deployment and Service web", lambda: call(spec, create))
    step(f"Waiting for {REPLICAS} replicas", lambda: call(spec, lambda client: api.until(lambda: available(client))))
    step(f"First answer from {traffic.url}", lambda: call(spec, lambda _: first_answer(traffic)))
    say(f"    {next(iter(traffic.answers))}")
    victim = step("Deleting a pod while requests go on", lambda: call(spec, lambda c: replace_one(c, traffic)))
    report(spec, traffic, victim)
    return 0 if not traffic.failures else 1


def call(spec: ClusterSpec, action: Callable[[Client], Awaitable[T]]) -> T:
    return api.call(spec, action, limit=LIMIT)


def load_image(spec: ClusterSpec) -> None:
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        file.write(archive(web("v1"), web("v2")))
        file.flush()
        for node in running_nodes(spec):
            containerd.load(spec, node, Path(file.name))


async def create(client: Client) -> None:
    """The demo's objects, made anew where an earlier run or a user left some."""
    for cls in (apps_v1.Deployment, core_v1.Service):
        try:
            await client.delete(cls, APP, NAMESPACE, propagation="Background")
        except NotFound:
            continue
    await api.until(lambda: no_pods(client))
    await client.create(deployment())
    await client.create(service())


def deployment() -> apps_v1.Deployment:
    container = core_v1.Container(
        name=APP, image="timonier.local/web:v1", ports=[core_v1.ContainerPort(containerPort=PORT)],
        readinessProbe=core_v1.Probe(httpGet=core_v1.HTTPGetAction(path="/", port=PORT), periodSeconds=1),
        lifecycle=core_v1.Lifecycle(preStop=core_v1.LifecycleHandler(sleep=core_v1.SleepAction(seconds=DRAIN_SECONDS))),
        resources=core_v1.ResourceRequirements(requests={"cpu": "50m", "memory": "16Mi"}, limits={"memory": "64Mi"}))
    return apps_v1.Deployment(
        metadata=meta_v1.ObjectMeta(name=APP, namespace=NAMESPACE, labels=LABELS),
        spec=apps_v1.DeploymentSpec(
            replicas=REPLICAS, selector=meta_v1.LabelSelector(matchLabels=LABELS),
            template=core_v1.PodTemplateSpec(metadata=meta_v1.ObjectMeta(labels=LABELS),
                                             spec=core_v1.PodSpec(containers=[container]))))


def service() -> core_v1.Service:
    return core_v1.Service(
        metadata=meta_v1.ObjectMeta(name=APP, namespace=NAMESPACE, labels=LABELS),
        spec=core_v1.ServiceSpec(type="NodePort", selector=LABELS, ports=[
            core_v1.ServicePort(name="http", port=80, targetPort=PORT, nodePort=NODE_PORT)]))


async def pods(client: Client) -> set[str]:
    return {pod.metadata.name for pod in (await client.list(core_v1.Pod, NAMESPACE, labels=f"app={APP}")).items}


async def no_pods(client: Client) -> bool:
    return not await pods(client)


async def available(client: Client) -> bool:
    return (await client.get(apps_v1.Deployment, APP, NAMESPACE)).status.availableReplicas >= REPLICAS


async def first_answer(traffic: Traffic) -> None:
    await api.until(traffic.one)
    traffic.failures.clear()


async def replace_one(client: Client, traffic: Traffic) -> str:
    """Delete one pod under traffic; returns its name once it is gone and its successor has answered."""
    before = await pods(client)
    victim = min(before)

    async def replaced() -> bool:
        answered = {text.split()[2].rstrip(",") for text in traffic.answers}
        return bool(answered - before) and victim not in await pods(client)

    flow = asyncio.create_task(traffic.flow(), name="visitors")
    try:
        await client.delete(core_v1.Pod, victim, NAMESPACE)
        await api.until(replaced)
    finally:
        flow.cancel()
    return victim


def report(spec: ClusterSpec, traffic: Traffic, lost: str) -> None:
    total = sum(traffic.answers.values())
    say(f"\nPod {lost} was deleted and replaced while {total + len(traffic.failures)} requests went on: "
        f"{total} answered, {len(traffic.failures)} failed.")
    for text, count in sorted(traffic.answers.items()):
        say(f"  {count:5}  {text}")
    for text, count in Counter(traffic.failures).most_common(3):
        say(f"  {count:5}  failed: {text}")
    us = this_program()
    say(f"""
The cluster is still running. Try:
  {us} kubectl get pods -o wide
  curl {traffic.url}
  {us} kubectl scale deployment {APP} --replicas 5
  {us} kubectl set image deployment/{APP} {APP}=timonier.local/web:v2
  {us} kubectl rollout status deployment/{APP}
  {us} kubectl rollout undo deployment/{APP}
  {us} kubectl logs -l app={APP}
  {us} status{named(spec)}
  {us} delete{named(spec)}""")


def this_program() -> str:
    """How the person who reads this can call us: by name where that is on the PATH, else by a path from here."""
    return "timonier" if shutil.which("timonier") else os.path.relpath(sys.argv[0])


def named(spec: ClusterSpec) -> str:
    return "" if spec.name == DEFAULT else f" --name {spec.name}"
