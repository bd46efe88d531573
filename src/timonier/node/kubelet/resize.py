"""Resizes of running pods, which this node does not do: containers keep what they were given, and the status says so.

What they were given stands in the pod's status, where the next kubelet finds it. Pure. Source: KEP-1287.
"""

from __future__ import annotations

import msgspec

from timonier.api.types import core_v1
from timonier.node.kubelet import names

PENDING, INFEASIBLE = "PodResizePending", "Infeasible"
WHY = "In-place resize of containers is not supported by this node"
WHOLE = ""
"""Stands for the pod as a whole where containers go by their names."""
Given = dict[str, core_v1.ResourceRequirements | None]
"""What containers have, by their names."""


def wanted(pod: core_v1.Pod) -> Given:
    """What the spec asks for."""
    return {WHOLE: pod.spec.resources} | {container.name: container.resources
                                          for container in names.every_container(pod)}


def given(pod: core_v1.Pod) -> Given:
    """What the pod's containers have by its status, and where it says nothing, what they are to be given."""
    status = pod.status
    told = {one.name: one.resources for one in (*status.initContainerStatuses, *status.containerStatuses)}
    told[WHOLE] = status.resources
    return {name: told.get(name) or resources for name, resources in wanted(pod).items()}


def as_it_runs(pod: core_v1.Pod, has: Given) -> core_v1.Pod:
    """The pod with what its containers have in the place of what the spec asks for."""
    if wanted(pod) == has:
        return pod

    def running(containers: list[core_v1.Container]) -> list[core_v1.Container]:
        return [msgspec.structs.replace(one, resources=has.get(one.name, one.resources)) for one in containers]

    spec = msgspec.structs.replace(pod.spec, containers=running(pod.spec.containers),
                                   initContainers=running(pod.spec.initContainers), resources=has[WHOLE])
    return msgspec.structs.replace(pod, spec=spec)


def condition() -> core_v1.PodCondition:
    """What a status says of a resize that will not happen."""
    return core_v1.PodCondition(type=PENDING, status="True", reason=INFEASIBLE, message=WHY)


def told(pod: core_v1.Pod) -> str:
    """The message of the event about it: what was wanted, and why it is not done."""
    said = {field: [{"name": one.name, "resources": one.resources} for one in containers if one.resources]
            for field, containers in (("initContainers", pod.spec.initContainers), ("containers", pod.spec.containers))}
    rest = {"generation": pod.metadata.generation or 0, "error": WHY}
    text = msgspec.json.encode({field: listed for field, listed in said.items() if listed} | rest).decode()
    return f"Pod resize {INFEASIBLE}: {text}"
