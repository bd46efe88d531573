"""The Node object: how a node registers, and the status that it reports. Pure.

Source: Kubernetes documentation, "Nodes", "Node Status", "Reserve Compute Resources".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from timonier.api import quantity
from timonier.api.times import rfc3339
from timonier.api.types import core_v1, meta_v1
from timonier.kit.clock import Time
from timonier.node.cri.contract import Condition, ImageStatus, Version
from timonier.node.kubelet.machine import Load, Machine
from timonier.node.settings import NodeSettings

VERSION = "v1.37.0"
MAX_IMAGES = 50
MEMORY_LEAST = 100 * 1024 * 1024
DISK_LEAST, INODES_LEAST, PIDS_LEAST = 0.1, 0.05, 0.05
READY = ("KubeletReady", "kubelet is posting ready status")


@dataclass(frozen=True, slots=True)
class Health:
    """What decides whether the node is ready."""

    load: Load
    runtime: Sequence[Condition] = ()
    trouble: str = ""
    """What keeps the kubelet from looking after its pods."""


def new_node(settings: NodeSettings, machine: Machine) -> core_v1.Node:
    """The node as it registers: names, labels and taints. Its status is written separately."""
    name = settings.node_name
    labels = {"beta.kubernetes.io/arch": machine.architecture, "beta.kubernetes.io/os": "linux",
              "kubernetes.io/arch": machine.architecture, "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    labels |= dict(label.partition("=")[::2] for label in settings.node_labels)
    return core_v1.Node(
        metadata=meta_v1.ObjectMeta(name=name, labels=labels,
                                    annotations={"volumes.kubernetes.io/controller-managed-attach-detach": "true"}),
        spec=core_v1.NodeSpec(taints=[taint(text) for text in settings.register_with_taints]))


def taint(text: str) -> core_v1.Taint:
    """`key=value:Effect` or `key:Effect`."""
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return core_v1.Taint(key=key, value=value, effect=effect)


def node_status(settings: NodeSettings, machine: Machine, version: Version, images: Iterable[ImageStatus],
                health: Health, before: core_v1.NodeStatus, now: Time) -> core_v1.NodeStatus:
    """The whole status; conditions keep the moment of their last change."""
    capacity = {"cpu": str(machine.cpus), "memory": f"{machine.memory // 1024}Ki", "pods": str(settings.max_pods),
                "ephemeral-storage": f"{machine.disk // 1024}Ki", "hugepages-1Gi": "0", "hugepages-2Mi": "0"}
    return core_v1.NodeStatus(
        capacity=capacity, allocatable=allocatable(settings, capacity),
        addresses=[core_v1.NodeAddress(type="InternalIP", address=settings.node_ip),
                   core_v1.NodeAddress(type="Hostname", address=settings.node_name)],
        conditions=conditions(health, before, now),
        daemonEndpoints=core_v1.NodeDaemonEndpoints(
            kubeletEndpoint=core_v1.DaemonEndpoint(Port=settings.kubelet_port)),
        nodeInfo=core_v1.NodeSystemInfo(
            architecture=machine.architecture, bootID=machine.boot_id,
            containerRuntimeVersion=f"{version.name}://{version.version}", kernelVersion=machine.kernel,
            kubeletVersion=VERSION, machineID=machine.machine_id, operatingSystem="linux", osImage=machine.os_image,
            systemUUID=machine.system_uuid),
        images=image_list(images),
        volumesAttached=before.volumesAttached, volumesInUse=before.volumesInUse)


def allocatable(settings: NodeSettings, capacity: dict[str, str]) -> dict[str, str]:
    left = dict(capacity)
    cpu = quantity.milli(capacity["cpu"]) - quantity.milli(settings.system_reserved_cpu)
    left["cpu"] = str(cpu // 1000) if cpu % 1000 == 0 else f"{cpu}m"
    memory = quantity.whole(capacity["memory"]) - quantity.whole(settings.system_reserved_memory)
    left["memory"] = f"{max(0, memory) // 1024}Ki"
    return left


def image_list(images: Iterable[ImageStatus]) -> list[core_v1.ContainerImage]:
    """The largest images, each with its names."""
    named = [image for image in images if image.tags or image.digests]
    largest = sorted(named, key=lambda image: (-image.size, image.id))[:MAX_IMAGES]
    return [core_v1.ContainerImage(names=[*image.digests, *image.tags], sizeBytes=image.size) for image in largest]


def conditions(health: Health, before: core_v1.NodeStatus, now: Time) -> list[core_v1.NodeCondition]:
    """The kubelet's four conditions, and everybody else's as they are."""
    load = health.load
    wrong = not_ready(health)
    own = [
        pressure("MemoryPressure", load.memory_available < MEMORY_LEAST, "Memory", "memory available"),
        pressure("DiskPressure", load.disk_free < DISK_LEAST or load.inodes_free < INODES_LEAST, "Disk", ""),
        pressure("PIDPressure", load.pids_free < PIDS_LEAST, "PID", "PID available"),
        core_v1.NodeCondition(type="Ready", status="False" if wrong else "True",
                              reason="KubeletNotReady" if wrong else READY[0], message=wrong or READY[1]),
    ]
    known = {condition.type: condition for condition in before.conditions}
    for condition in own:
        old = known.pop(condition.type, None)
        condition.lastHeartbeatTime = rfc3339(now)
        same = old is not None and old.status == condition.status
        condition.lastTransitionTime = old.lastTransitionTime if old and same else rfc3339(now)
    return [*known.values(), *own]


def pressure(kind: str, under: bool, what: str, words: str) -> core_v1.NodeCondition:
    if kind == "DiskPressure":
        reason, message = ("KubeletHasDiskPressure", "kubelet has disk pressure") if under else \
            ("KubeletHasNoDiskPressure", "kubelet has no disk pressure")
    else:
        how = "insufficient" if under else "sufficient"
        reason, message = f"KubeletHas{how.capitalize()}{what}", f"kubelet has {how} {words}"
    return core_v1.NodeCondition(type=kind, status="True" if under else "False", reason=reason, message=message)


def not_ready(health: Health) -> str:
    """What keeps the node from being ready, in Kubernetes's words; empty where nothing does."""
    wrong = [health.trouble] if health.trouble else []
    given = {condition.type: condition for condition in health.runtime}
    for kind, word in (("RuntimeReady", "container runtime not ready"),
                       ("NetworkReady", "container runtime network not ready")):
        condition = given.get(kind)
        if condition is None and not health.trouble:
            wrong.append(f"{word}: {kind} is not reported")
        elif condition is not None and not condition.status:
            wrong.append(f"{word}: {kind}=false reason:{condition.reason} message:{condition.message}")
    return wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]" if wrong else ""


def changed(old: core_v1.NodeStatus, new: core_v1.NodeStatus) -> bool:
    """Whether something other than the moment of the heartbeat differs."""
    def told(status: core_v1.NodeStatus) -> tuple[object, ...]:
        return (status.capacity, status.allocatable, status.addresses, status.nodeInfo, status.images,
                status.daemonEndpoints, [(c.type, c.status, c.reason, c.message) for c in status.conditions])
    return told(old) != told(new)
