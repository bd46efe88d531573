"""What a pod asks of a node, read once from its spec.

Resources are integers: CPU in thousandths, all else in its own unit. The request of a pod is the larger of what its
containers need side by side and what any init container needs while it runs, plus overhead; a request of the pod as a
whole (`spec.resources`) replaces the sum. Source: Kubernetes documentation, "Resource Management for Pods and
Containers", "Sidecar Containers".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from timonier.api import quantity, times
from timonier.api.types import core_v1
from timonier.scheduler.terms import PodTerm, SpreadConstraint, default_spread, preferred, required, spread_constraint

CPU, MEMORY, STORAGE, PODS = "cpu", "memory", "ephemeral-storage", "pods"
UNSTATED = {CPU: 100, MEMORY: 200 << 20}
"""What a container that states no request is taken for when nodes are scored: 100m and 200Mi."""

HostPort = tuple[str, int, str]
"""Protocol, port, host IP (`0.0.0.0` for all)."""
Resources = Mapping[str, int]
TolerationKey = tuple[str, str, str, str]
"""Key, operator, value, effect."""


@dataclass(frozen=True, slots=True)
class Request:
    """A pod as the scheduler sees it. `affinity` and `nodeSelector` are shared with the pod and not changed."""

    uid: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    owner: str
    priority: int
    may_preempt: bool
    started: float
    leaving: bool
    resources: Resources
    scored: Resources
    ports: tuple[HostPort, ...]
    nodeName: str
    nodeSelector: tuple[tuple[str, str], ...]
    node_terms: core_v1.NodeSelector | None
    preferred_nodes: tuple[core_v1.PreferredSchedulingTerm, ...]
    tolerations: tuple[TolerationKey, ...]
    near: tuple[PodTerm, ...] = ()
    apart: tuple[PodTerm, ...] = ()
    preferred_pods: tuple[tuple[int, PodTerm], ...] = ()
    """Weight, negative for anti-affinity, and term."""
    spread: tuple[SpreadConstraint, ...] = ()
    images: tuple[str, ...] = ()
    devices: bool = False
    """Whether it claims devices (`spec.resourceClaims`)."""
    nominated: str = ""
    node_key: object = field(default=None, compare=False)
    """Equal for pods that want the same of nodes, so that what was found for one serves the others."""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


def request_of(pod: core_v1.Pod) -> Request:
    meta, spec = pod.metadata, pod.spec
    affinity = spec.affinity or core_v1.Affinity()
    nodes = affinity.nodeAffinity or core_v1.NodeAffinity()
    near = affinity.podAffinity or core_v1.PodAffinity()
    apart = affinity.podAntiAffinity or core_v1.PodAntiAffinity()
    has = held(pod)
    resources = requested(has, stated)
    owner = next((reference.uid for reference in meta.ownerReferences if reference.controller), "")
    namespace, labels = meta.namespace, meta.labels
    selector = tuple(sorted(spec.nodeSelector.items()))
    tolerations = tuple(sorted({(t.key, t.operator or "Equal", t.value, t.effect) for t in spec.tolerations}))
    spread = tuple(spread_constraint(constraint, namespace, labels) for constraint in spec.topologySpreadConstraints)
    return Request(
        uid=meta.uid or f"{namespace}/{meta.name}", namespace=namespace, name=meta.name, labels=labels, owner=owner,
        priority=spec.priority or 0, may_preempt=spec.preemptionPolicy != "Never",
        started=times.parse(pod.status.startTime) if pod.status.startTime else float("inf"),
        leaving=bool(meta.deletionTimestamp), resources=resources, scored=requested(has, stated_or_taken_for),
        ports=tuple(host_ports(spec)), nodeName=spec.nodeName, nodeSelector=selector,
        node_terms=nodes.requiredDuringSchedulingIgnoredDuringExecution,
        preferred_nodes=tuple(nodes.preferredDuringSchedulingIgnoredDuringExecution), tolerations=tolerations,
        near=required(near.requiredDuringSchedulingIgnoredDuringExecution, namespace, labels),
        apart=required(apart.requiredDuringSchedulingIgnoredDuringExecution, namespace, labels),
        preferred_pods=(
            *preferred(near.preferredDuringSchedulingIgnoredDuringExecution, namespace, labels, sign=1),
            *preferred(apart.preferredDuringSchedulingIgnoredDuringExecution, namespace, labels, sign=-1)),
        spread=spread or (default_spread(namespace, owner) if owner else ()),
        images=tuple(container.image for container in spec.containers), devices=bool(spec.resourceClaims),
        nominated=pod.status.nominatedNodeName, node_key=(selector, repr(nodes) if affinity.nodeAffinity else ""))


def held(pod: core_v1.Pod) -> core_v1.PodSpec:
    """The spec with what containers have: until a resize is done, the larger of what they have and what is wanted.

    What its node cannot do is not counted. Source: KEP-1287, "Scheduler and API Server Interaction".
    """
    told = {one.name: one.resources.requests for one in (*pod.status.containerStatuses,
                                                         *pod.status.initContainerStatuses) if one.resources}
    containers = (*pod.spec.containers, *pod.spec.initContainers)
    if all(one.name not in told or (one.resources and told[one.name] == one.resources.requests) for one in containers):
        return pod.spec
    wanted = not any(one.type == "PodResizePending" and one.reason == "Infeasible" for one in pod.status.conditions)

    def holding(container: core_v1.Container) -> core_v1.Container:
        if container.name not in told:
            return container
        asked = container.resources.requests if wanted and container.resources else {}
        has = told[container.name]
        larger = has | {name: text for name, text in asked.items() if name not in has
                        or amount(name, text) > amount(name, has[name])}
        return msgspec.structs.replace(container, resources=core_v1.ResourceRequirements(requests=larger))

    return msgspec.structs.replace(pod.spec, containers=[*map(holding, pod.spec.containers)],
                                   initContainers=[*map(holding, pod.spec.initContainers)])


@lru_cache(maxsize=4096)
def amount(resource: str, text: str) -> int:
    """A quantity as an integer of the resource's unit. Raises BadQuantity."""
    return quantity.milli(text) if resource == CPU else quantity.whole(text)


def amounts(quantities: Mapping[str, str]) -> dict[str, int]:
    return {resource: amount(resource, text) for resource, text in quantities.items()}


def stated(container: core_v1.Container) -> dict[str, int]:
    return amounts(container.resources.requests) if container.resources else {}


def stated_or_taken_for(container: core_v1.Container) -> dict[str, int]:
    return {**UNSTATED, **stated(container)}


def requested(spec: core_v1.PodSpec, of: Callable[[core_v1.Container], dict[str, int]]) -> dict[str, int]:
    """The pod's request, given how to read a container's."""
    total = Counter[str]()
    for container in spec.containers:
        total.update(of(container))
    sidecars, peak = Counter[str](), Counter[str]()
    for container in spec.initContainers:
        need = Counter(of(container))
        if container.restartPolicy == "Always":
            sidecars.update(need)
            need = Counter()
        peak |= need + sidecars
    total = (total + sidecars) | peak
    if spec.resources:
        for resource, value in amounts(spec.resources.requests).items():
            total[resource] = value
    total.update(amounts(spec.overhead))
    return {resource: value for resource, value in total.items() if value > 0}


def host_ports(spec: core_v1.PodSpec) -> Iterable[HostPort]:
    sidecars = [container for container in spec.initContainers if container.restartPolicy == "Always"]
    for container in (*spec.containers, *sidecars):
        for port in container.ports:
            number = port.hostPort or (port.containerPort if spec.hostNetwork else 0)
            if number:
                yield port.protocol or "TCP", number, port.hostIP or "0.0.0.0"
