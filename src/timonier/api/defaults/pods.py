"""Defaults of pods that look at the pod."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from timonier.api import quantity
from timonier.api.defaults.constants import CORE

Obj = dict[str, Any]
POD_LEVEL = ("cpu", "memory")
SUB_MILLI = re.compile(r"(n|u|e-[69])$")


def pod(obj: Obj) -> None:
    spec = obj.get("spec")
    if spec is None:
        return
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        limits_are_requests(container)
    if "limits" in spec.get("resources", {}):
        pod_requests(spec)
    spec.setdefault("enableServiceLinks", True)
    if spec.get("hostNetwork"):
        host_ports(spec)


def limits_are_requests(container: Obj) -> None:
    """Whoever says what it may use at most, and not what it needs, needs that."""
    resources = container.get("resources", {})
    if resources.get("limits"):
        requests = resources.setdefault("requests", {})
        for name, value in resources["limits"].items():
            requests.setdefault(name, value)


def pod_requests(spec: Obj) -> None:
    """Requests of the pod as a whole, where it has limits: those of its containers, or else the limits (KEP-2837)."""
    resources = spec["resources"]
    requests = resources.setdefault("requests", {})
    for name in POD_LEVEL:
        if name not in requests and (needed := containers_need(spec, name)) is not None:
            requests[name] = needed
    for name, value in resources["limits"].items():
        if name in POD_LEVEL or name.startswith("hugepages-"):
            requests.setdefault(name, value)
    if not requests:
        del resources["requests"]


def containers_need(spec: Obj, name: str) -> str | None:
    """The most that the containers request at once: all that run together, or one step of initialisation."""
    said = [text for container in (*spec.get("containers", ()), *spec.get("initContainers", ()))
            if (text := requested(container, name))]
    if not said:
        return None
    sidecars, most = Fraction(0), Fraction(0)
    for container in spec.get("initContainers", ()):
        value = quantity.parse(requested(container, name) or "0")
        if container.get("restartPolicy") == "Always":
            sidecars += value
            most = max(most, sidecars)
        else:
            most = max(most, sidecars + value)
    together = sidecars + total(requested(container, name) for container in spec.get("containers", ()))
    return quantity.render(max(most, together), like=said[0])


def requested(container: Obj, name: str) -> str | None:
    value: str | None = container.get("resources", {}).get("requests", {}).get(name)
    return value


def total(texts: Iterable[str | None]) -> Fraction:
    return sum((quantity.parse(text) for text in texts if text), Fraction(0))


def host_ports(spec: Obj) -> None:
    """On the host's network a container's port is the host's."""
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        for port in container.get("ports", ()):
            if not port.get("hostPort"):
                port["hostPort"] = port.get("containerPort", 0)


def pod_spec(spec: Obj) -> None:
    """`serviceAccount` is the former name of `serviceAccountName`; empty strings are as good as absent."""
    if not spec.get("serviceAccountName") and spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    drop_empty(spec, "dnsPolicy", "restartPolicy", "schedulerName")


def container(obj: Obj) -> None:
    drop_empty(obj, "terminationMessagePath", "terminationMessagePolicy")
    if not obj.get("imagePullPolicy"):
        obj["imagePullPolicy"] = pull_policy(obj.get("image", ""))


def pull_policy(image: str) -> str:
    """Always for `latest`, said or unsaid; IfNotPresent for every other tag, and for digests."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    latest = tag == "latest" or (bool(name) and not tag and not digest)
    return "Always" if latest else "IfNotPresent"


def probe(obj: Obj) -> None:
    """Zero is not a number of seconds or of times; it is nothing said."""
    for field in ("timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if obj.get(field) == 0:
            del obj[field]


def volume(obj: Obj) -> None:
    if len(obj) == 1 and "name" in obj:
        obj["emptyDir"] = {}
    image = obj.get("image")
    if image is not None and not image.get("pullPolicy"):
        image["pullPolicy"] = pull_policy(image.get("reference", ""))


def resources(obj: Obj) -> None:
    """Amounts are no finer than a thousandth."""
    for field in ("limits", "requests"):
        round_up(obj.get(field))


def round_up(amounts: dict[str, str] | None) -> None:
    for name, value in (amounts or {}).items():
        if SUB_MILLI.search(value):
            amounts[name] = quantity.render(Fraction(quantity.milli(value), 1000), like=value)  # type: ignore[index]


def drop_empty(obj: Obj, *fields: str) -> None:
    for field in fields:
        if obj.get(field) == "":
            del obj[field]


PODS: dict[str, Callable[[Obj], None]] = {
    CORE + "Pod": pod,
    CORE + "PodSpec": pod_spec,
    CORE + "Container": container,
    CORE + "EphemeralContainer": container,
    CORE + "Probe": probe,
    CORE + "HTTPGetAction": lambda obj: drop_empty(obj, "path", "scheme"),
    CORE + "ObjectFieldSelector": lambda obj: drop_empty(obj, "apiVersion"),
    CORE + "ContainerPort": lambda obj: drop_empty(obj, "protocol"),
    CORE + "Volume": volume,
    CORE + "ResourceRequirements": resources,
    CORE + "VolumeResourceRequirements": resources,
}
