"""Which pods stand behind a Service, at which address and port. Source: k8s.io/endpointslice, util."""

from __future__ import annotations

from collections.abc import Iterable

from timonier.api.selectors import Labels
from timonier.api.types import core_v1
from timonier.client.informer import key_of
from timonier.controllers.shared.pods import FINISHED
from timonier.controllers.shared.slices import address_type
from timonier.reconcile.snapshot import Snapshot


def selecting(pod: core_v1.Pod, snapshot: Snapshot) -> Iterable[str]:
    """The keys of the Services whose selector matches a pod."""
    return [key_of(each) for each in snapshot.within(core_v1.Service, pod.metadata.namespace)
            if Labels.exactly(each.spec.selector).matches(pod.metadata.labels)]


def headless(service: core_v1.Service) -> bool:
    return service.spec.clusterIP == "None"


def backing(service: core_v1.Service, snapshot: Snapshot, *, terminating: bool) -> list[core_v1.Pod]:
    """The pods with an address that a Service selects, in the order of their names."""
    selector = Labels.exactly(service.spec.selector)
    pods = [pod for pod in snapshot.within(core_v1.Pod, service.metadata.namespace)
            if selector.matches(pod.metadata.labels) and pod.status.podIP and pod.status.phase not in FINISHED
            and (terminating or not pod.metadata.deletionTimestamp)]
    return sorted(pods, key=lambda pod: pod.metadata.name)


def families(service: core_v1.Service) -> list[str]:
    """The address types of a Service, its first one being that of its cluster address."""
    if service.spec.ipFamilies:
        return service.spec.ipFamilies
    return [address_type(service.spec.clusterIP)] if service.spec.clusterIP not in ("", "None") else ["IPv4"]


def addresses(pod: core_v1.Pod, family: str) -> list[str]:
    known = [each.ip for each in pod.status.podIPs] or [pod.status.podIP]
    return [ip for ip in known if ip and address_type(ip) == family][:1]


def hostname(pod: core_v1.Pod, service: core_v1.Service) -> str:
    """The name that the pod has below the Service's own, if any."""
    return pod.spec.hostname if pod.spec.subdomain == service.metadata.name else ""


def port_number(pod: core_v1.Pod, port: core_v1.ServicePort) -> int | None:
    """The number of a Service's port on a pod; None where the pod has no port of the name that is asked for."""
    target = port.targetPort
    if target is None or target in (0, ""):
        return port.port
    if isinstance(target, int):
        return target
    sidecars = [each for each in pod.spec.initContainers if each.restartPolicy == "Always"]
    for container in (*pod.spec.containers, *sidecars):
        for declared in container.ports:
            if declared.name == target and (declared.protocol or "TCP") == (port.protocol or "TCP"):
                return declared.containerPort
    return None


def target(pod: core_v1.Pod) -> core_v1.ObjectReference:
    meta = pod.metadata
    return core_v1.ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid)
