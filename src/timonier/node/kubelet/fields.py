"""The downward API: what a pod can be told about itself, for environment variables and files. Pure.

Source: Kubernetes documentation, "Downward API".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from timonier.api import quantity
from timonier.api.types import core_v1
from timonier.node.kubelet import names

SUBSCRIPT = re.compile(r"(metadata\.(?:labels|annotations))\['(.*)'\]", re.DOTALL)


class UnsupportedField(ValueError):
    """A field or resource that the downward API does not offer."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The pod's and its node's addresses, the first one of each family order first."""

    pod: tuple[str, ...] = ()
    host: tuple[str, ...] = ()


NOWHERE = Addresses()


def field(pod: core_v1.Pod, path: str, addresses: Addresses = NOWHERE) -> str:
    """The value of `metadata.name`, `metadata.labels['app']`, `status.podIP`, …; raises UnsupportedField."""
    meta = pod.metadata
    if found := SUBSCRIPT.fullmatch(path):
        return (meta.labels if found[1].endswith("labels") else meta.annotations).get(found[2], "")
    match path:
        case "metadata.name":
            return meta.name
        case "metadata.namespace":
            return meta.namespace
        case "metadata.uid":
            return meta.uid
        case "metadata.labels":
            return lines(meta.labels)
        case "metadata.annotations":
            return lines(meta.annotations)
        case "spec.nodeName":
            return pod.spec.nodeName
        case "spec.serviceAccountName":
            return pod.spec.serviceAccountName
        case "status.hostIP":
            return addresses.host[0] if addresses.host else ""
        case "status.hostIPs":
            return ",".join(addresses.host)
        case "status.podIP":
            return addresses.pod[0] if addresses.pod else ""
        case "status.podIPs":
            return ",".join(addresses.pod)
    raise UnsupportedField(f"unsupported fieldPath: {path}")


def lines(values: Mapping[str, str]) -> str:
    r"""`key="value"` for each, sorted, with line breaks and quotes escaped."""
    return "\n".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(values.items()))


def resource(pod: core_v1.Pod, selector: core_v1.ResourceFieldSelector, container_name: str,
             allocatable: Mapping[str, str]) -> str:
    """The value of `limits.cpu`, `requests.memory`, … in units of the divisor, rounded up.

    A limit that the container does not have is what the node can give. Raises UnsupportedField.
    """
    name = selector.containerName or container_name
    container = names.container_named(pod, name)
    if container is None:
        raise UnsupportedField(f"container {name} not found")
    kind, _, what = selector.resource.partition(".")
    requirements = container.resources or core_v1.ResourceRequirements()
    if kind not in ("limits", "requests") or not (what in ("cpu", "memory", "ephemeral-storage")
                                                  or what.startswith("hugepages-")):
        raise UnsupportedField(f"unsupported container resource : {selector.resource}")
    value = requirements.limits.get(what) or allocatable.get(what, "0") if kind == "limits" else \
        requirements.requests.get(what) or requirements.limits.get(what, "0")
    divisor = quantity.parse(selector.divisor) if selector.divisor else 0
    return str(ceil(quantity.parse(value) / (divisor or 1)))
