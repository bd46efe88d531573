"""A kubelet on the simulated runtime and a fake clock, with an API server that is a few dictionaries."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from timonier.api import errors
from timonier.api.types import coordination_v1, core_v1
from timonier.kit.clock import FakeClock, Seconds
from timonier.node.cri.simulated import SimulatedRuntime
from timonier.node.kubelet.api import Token
from timonier.node.kubelet.cgroups import NoCgroups
from timonier.node.kubelet.environment import Objects
from timonier.node.kubelet.probes.attempt import Outcome
from timonier.node.kubelet.run import Kubelet
from timonier.node.settings import NodeSettings

T = TypeVar("T")


class CountedThreads(ThreadPoolExecutor):
    """The loop's threads, which do the kubelet's file work; `working` is what they have not finished."""

    def __init__(self) -> None:
        super().__init__(4)
        self.working: set[Future[Any]] = set()

    @classmethod
    def of_this_loop(cls) -> CountedThreads:
        """The loop's own, made on first use."""
        loop = asyncio.get_running_loop()
        current = getattr(loop, "_default_executor", None)
        if isinstance(current, cls):
            return current
        made = cls()
        loop.set_default_executor(made)
        return made

    def submit(self, call: Callable[..., T], /, *args: Any, **options: Any) -> Future[T]:
        future = super().submit(call, *args, **options)
        self.working.add(future)
        future.add_done_callback(self.working.discard)
        return future


class FakeApi:
    """Keeps pods, config and the node; tells `pods` of every change, as a watch would."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.pods: dict[str, core_v1.Pod] = {}
        self.handlers: list[Any] = []
        self.synced = asyncio.Event()
        self.synced.set()
        self.config_maps: dict[str, core_v1.ConfigMap] = {}
        self.secrets: dict[str, core_v1.Secret] = {}
        self.service_list: list[core_v1.Service] = []
        self.nodes: dict[str, core_v1.Node] = {}
        self.leases: list[coordination_v1.Lease] = []
        self.patches: list[dict[str, Any]] = []
        self.tokens = 0
        self.down = False
        self._versions = itertools.count(1)

    # The mirror of the node's pods.

    def get(self, key: str) -> core_v1.Pod | None:
        return self.pods.get(key)

    def list(self) -> list[core_v1.Pod]:
        return [*self.pods.values()]

    def on_change(self, handler: Any) -> None:
        self.handlers.append(handler)
        for pod in self.pods.values():
            handler(None, pod)

    def put(self, pod: core_v1.Pod) -> core_v1.Pod:
        """Write a pod and tell of it."""
        pod = copy.deepcopy(pod)
        pod.metadata.resourceVersion = str(next(self._versions))
        key = f"{pod.metadata.namespace}/{pod.metadata.name}"
        old = self.pods.get(key)
        self.pods[key] = pod
        for handler in self.handlers:
            handler(old, pod)
        return pod

    def drop(self, key: str) -> None:
        old = self.pods.pop(key, None)
        for handler in self.handlers if old else ():
            handler(old, None)

    # The kubelet's calls.

    def check(self) -> None:
        if self.down:
            raise errors.ServiceUnavailable("the API server is down")

    async def objects(self, namespace: str, config_maps: Iterable[str], secrets: Iterable[str]) -> Objects:
        self.check()
        return Objects({name: self.config_maps.get(name) for name in config_maps},
                       {name: self.secrets.get(name) for name in secrets})

    async def token(self, pod: core_v1.Pod, audience: str, seconds: int) -> Token:
        self.check()
        self.tokens += 1
        return Token(f"token-{self.tokens}", self.clock.now() + seconds)

    async def patch_status(self, pod: core_v1.Pod, status: dict[str, Any]) -> core_v1.Pod:
        self.check()
        self.patches.append(status)
        key = f"{pod.metadata.namespace}/{pod.metadata.name}"
        there = self.pods.get(key)
        if there is None or there.metadata.uid != pod.metadata.uid:
            raise errors.NotFound(f'pods "{pod.metadata.name}" not found')
        data = msgspec.to_builtins(there.status)
        for name, value in status.items():
            if name == "conditions":
                merged = {one["type"]: one for one in data.get(name, [])}
                for one in value:
                    merged[one["type"]] = {**merged.get(one["type"], {}), **one}
                merged = {kind: one for kind, one in merged.items() if one.get("$patch") != "delete"}
                data[name] = [{key: v for key, v in one.items() if v is not None} for one in merged.values()]
            elif isinstance(value, list):
                data[name] = [one for one in value if "$patch" not in one]
            elif value is None:
                data.pop(name, None)
            else:
                data[name] = value
        fresh = copy.deepcopy(there)
        fresh.status = msgspec.convert(data, core_v1.PodStatus)
        return self.put(fresh)

    async def delete_pod(self, pod: core_v1.Pod) -> None:
        self.check()
        self.drop(f"{pod.metadata.namespace}/{pod.metadata.name}")

    async def create_pod(self, pod: core_v1.Pod) -> None:
        self.check()
        self.put(pod)

    def services(self, namespace: str) -> list[core_v1.Service]:
        return [one for one in self.service_list if one.metadata.namespace in (namespace, "default")]

    async def runtime_handler(self, runtime_class: str) -> str:
        raise errors.NotFound(f'runtimeclasses.node.k8s.io "{runtime_class}" not found')

    async def node(self, name: str) -> core_v1.Node | None:
        self.check()
        return self.nodes.get(name)

    async def create_node(self, node: core_v1.Node) -> core_v1.Node:
        self.check()
        self.nodes[node.metadata.name] = node
        return node

    async def patch_node(self, name: str, patch: dict[str, Any], subresource: str = "") -> core_v1.Node:
        self.check()
        node = copy.deepcopy(self.nodes[name])
        if "status" in patch:
            status = {**patch["status"]}
            status["addresses"] = [one for one in status["addresses"] if "$patch" not in one]
            node.status = msgspec.convert(status, core_v1.NodeStatus)
        node.metadata.labels.update(patch.get("metadata", {}).get("labels", {}))
        self.nodes[name] = node
        return node

    async def lease(self, name: str) -> coordination_v1.Lease | None:
        self.check()
        return self.leases[-1] if self.leases else None

    async def write_lease(self, lease: coordination_v1.Lease) -> coordination_v1.Lease:
        self.check()
        self.leases.append(copy.deepcopy(lease))
        return lease


class FakeNetwork:
    """Answers probes from a table: by `host:port`, success unless it says otherwise."""

    def __init__(self) -> None:
        self.answers: dict[str, Outcome] = {}
        self.asked: list[str] = []

    def answer(self, what: str) -> Outcome:
        self.asked.append(what)
        return self.answers.get(what, self.answers.get("*", Outcome(True)))

    async def http(self, url: str, headers: Mapping[str, str], limit: Seconds) -> Outcome:
        return self.answer(url)

    async def tcp(self, host: str, port: int, limit: Seconds) -> Outcome:
        return self.answer(f"{host}:{port}")

    async def grpc(self, host: str, port: int, service: str, limit: Seconds) -> Outcome:
        return self.answer(f"{host}:{port}/{service}")


class NodeBench:
    """One simulated node, and what happened on it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.clock = FakeClock()
        self.runtime = SimulatedRuntime(self.clock)
        self.api = FakeApi(self.clock)
        self.network = FakeNetwork()
        self.events: list[str] = []
        """About pods."""
        self.node_events: list[str] = []
        self.folder = folder
        self.settings = NodeSettings(
            node_name="n1", node_ip="10.89.0.2", kubeconfig=folder / "kubeconfig", runtime="simulated",
            root_dir=folder / "kubelet", pod_logs_dir=folder / "logs", cluster_dns="10.96.0.10",
            upstream_resolv_conf=folder / "resolv.conf", **settings)
        self.kubelet = self.new_kubelet()
        self.task: asyncio.Task[None] | None = None

    def new_kubelet(self) -> Kubelet:
        return Kubelet(self.settings, self.runtime, self.api, self.api, self.tell, NoCgroups(), self.network,
                       self.clock)

    def tell(self, about: Any, reason: str, message: str, *, type: str = "Normal", fieldPath: str = "") -> None:  # noqa: A002
        told = self.node_events if isinstance(about, core_v1.Node) else self.events
        told.append(f"{type} {reason} {message}")

    async def start(self) -> None:
        self.task = asyncio.create_task(self.kubelet.run(), name="kubelet")
        await self.settle()

    async def settle(self) -> None:
        threads = CountedThreads.of_this_loop()
        for _ in range(8):
            await asyncio.sleep(0.002)
            while threads.working:  # noqa: ASYNC110 - threads set no event of this loop
                await asyncio.sleep(0.002)
            await self.clock.settle()
        self.raise_crash()

    def raise_crash(self) -> None:
        if self.task and self.task.done() and not self.task.cancelled():
            self.task.result()

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await self.settle()

    async def crash(self) -> None:
        """End the kubelet without a goodbye; the runtime goes on."""
        if self.task:
            self.task.cancel()
            await asyncio.wait({self.task})
        self.api.handlers.clear()

    async def restart(self) -> None:
        await self.crash()
        self.kubelet = self.new_kubelet()
        await self.start()

    async def create(self, pod: core_v1.Pod) -> core_v1.Pod:
        self.api.put(pod)
        await self.settle()
        return self.pod(pod.metadata.name)

    def pod(self, name: str) -> core_v1.Pod:
        return self.api.pods[f"default/{name}"]

    def gone(self, name: str) -> bool:
        return f"default/{name}" not in self.api.pods

    async def delete(self, name: str, grace: int | None = None) -> None:
        pod = copy.deepcopy(self.pod(name))
        pod.metadata.deletionTimestamp = "2023-11-14T22:13:20Z"
        given = pod.spec.terminationGracePeriodSeconds
        pod.metadata.deletionGracePeriodSeconds = grace if grace is not None else 30 if given is None else given
        self.api.put(pod)
        await self.settle()


@contextlib.asynccontextmanager
async def node_bench(folder: Path, **settings: Any) -> AsyncIterator[NodeBench]:
    bench = NodeBench(folder, **settings)
    CountedThreads.of_this_loop()
    await bench.start()
    try:
        yield bench
    finally:
        await bench.crash()
        await bench.runtime.close()


_uids = itertools.count(1)


def make_pod(name: str = "web", *containers: dict[str, Any], **spec: Any) -> core_v1.Pod:
    """A pod from manifest-like dicts, defaulted as far as the kubelet relies on it."""
    made = [{"name": "c", "image": "app:1", "terminationMessagePath": "/dev/termination-log"} | one
            for one in containers or ({},)]
    number = next(_uids)
    return msgspec.convert({
        "metadata": {"name": name, "namespace": "default", "uid": f"00000000-0000-0000-0000-{number:012}"},
        "spec": {"nodeName": "n1", "restartPolicy": "Always", "containers": made} | spec}, core_v1.Pod)


def state(pod: core_v1.Pod, name: str = "c") -> str:
    """`running`, `waiting ErrImagePull`, `terminated Error 1`."""
    for one in (*pod.status.initContainerStatuses, *pod.status.containerStatuses):
        if one.name == name and one.state:
            if one.state.running:
                return "running"
            if one.state.waiting:
                return f"waiting {one.state.waiting.reason}"
            if one.state.terminated:
                return f"terminated {one.state.terminated.reason} {one.state.terminated.exitCode}"
    return "absent"


def conditions(pod: core_v1.Pod) -> dict[str, str]:
    return {condition.type: condition.status for condition in pod.status.conditions}
