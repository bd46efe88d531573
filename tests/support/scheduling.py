"""Nodes and pods for tests, in as few words as a test needs."""

import itertools

import msgspec

from timonier.api.types import core_v1, meta_v1
from timonier.scheduler.decide import Decision, decide
from timonier.scheduler.request import request_of
from timonier.scheduler.snapshot import Snapshot

UIDS = itertools.count(1)


def node(name: str, *, cpu: str = "4", memory: str = "8Gi", pods: str = "110", labels: dict[str, str] | None = None,
         taints: tuple[str, ...] = (), unschedulable: bool | None = None, images: dict[str, int] | None = None,
         **resources: str) -> core_v1.Node:
    """Taints are written `key=value:Effect`; a node is its own hostname."""
    allocatable = {"cpu": cpu, "memory": memory, "pods": pods, "ephemeral-storage": "100Gi"} | {
        key.replace("__", "/").replace("_", "."): value for key, value in resources.items()}
    return core_v1.Node(
        metadata=meta_v1.ObjectMeta(name=name, labels={"kubernetes.io/hostname": name} | (labels or {})),
        spec=core_v1.NodeSpec(taints=[taint(text) for text in taints], unschedulable=unschedulable),
        status=core_v1.NodeStatus(allocatable=allocatable, images=[
            core_v1.ContainerImage(names=[image], sizeBytes=size) for image, size in (images or {}).items()]))


def taint(text: str) -> core_v1.Taint:
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return core_v1.Taint(key=key, value=value, effect=effect)


def pod(name: str = "web", *, namespace: str = "default", labels: dict[str, str] | None = None, on: str = "",
        owner: str = "", requests: dict[str, str] | None = None, leaving: bool = False, **spec: object) -> core_v1.Pod:
    """A pod of one container; further fields of its spec are given as plain data."""
    made = msgspec.convert({"containers": [{"name": "c", "resources": {"requests": requests or {}}}]} | spec,
                           core_v1.PodSpec)
    made.nodeName = on or made.nodeName
    owners = [meta_v1.OwnerReference(uid=owner, controller=True)] if owner else []
    return core_v1.Pod(spec=made, metadata=meta_v1.ObjectMeta(
        name=name, namespace=namespace, uid=f"uid-{next(UIDS)}", labels=labels or {}, ownerReferences=owners,
        resourceVersion=str(next(UIDS)), deletionTimestamp="2026-01-01T00:00:00Z" if leaving else ""))


def snapshot(*things: core_v1.Node | core_v1.Pod) -> Snapshot:
    """Of nodes and of pods that are on them."""
    made = Snapshot()
    for thing in things:
        if isinstance(thing, core_v1.Node):
            made.set_node(thing)
        else:
            made.add_pod(request_of(thing), thing.spec.nodeName)
    return made


def decided(new: core_v1.Pod, *things: core_v1.Node | core_v1.Pod) -> Decision:
    return decide(request_of(new), snapshot(*things))
