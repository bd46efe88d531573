"""How the kubelet names pods and containers in messages, labels and paths. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from timonier.api.types import core_v1

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
MESSAGE_PATH = "io.kubernetes.container.terminationMessagePath"
MESSAGE_POLICY = "io.kubernetes.container.terminationMessagePolicy"
GRACE_PERIOD = "io.kubernetes.pod.terminationGracePeriod"
PRE_STOP = "io.kubernetes.container.preStopHandler"
CONFIG_SOURCE = "kubernetes.io/config.source"
CONFIG_MIRROR = "kubernetes.io/config.mirror"
CONFIG_HASH = "kubernetes.io/config.hash"


def full_name(pod: core_v1.Pod) -> str:
    """`name_namespace(uid)`, as pods stand in the kubelet's messages."""
    return f"{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})"


def key(pod: core_v1.Pod) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def log_directory_name(pod: core_v1.Pod) -> str:
    return f"{pod.metadata.namespace}_{pod.metadata.name}_{pod.metadata.uid}"


def container_hash(container: core_v1.Container) -> str:
    """What a change of makes a running container another one: its name and image.

    Other fields of a running pod cannot change, or are taken over without a restart.
    """
    text = msgspec.json.encode({"image": container.image, "name": container.name})
    return hashlib.sha256(text).hexdigest()[:8]


def every_container(pod: core_v1.Pod) -> Iterator[core_v1.Container]:
    yield from pod.spec.initContainers
    yield from pod.spec.containers


def ephemeral(pod: core_v1.Pod) -> list[core_v1.Container]:
    """The pod's ephemeral containers, which have the fields of others but for their target."""
    return [msgspec.convert(msgspec.to_builtins(one), core_v1.Container) for one in pod.spec.ephemeralContainers]


def container_named(pod: core_v1.Pod, name: str) -> core_v1.Container | None:
    """A container of any sort."""
    known = next((container for container in every_container(pod) if container.name == name), None)
    return known or next((container for container in ephemeral(pod) if container.name == name), None)


def is_sidecar(container: core_v1.Container) -> bool:
    """Whether an init container goes on running beside the others."""
    return container.restartPolicy == "Always"


def field_path(pod: core_v1.Pod, name: str) -> str:
    """`spec.containers{web}`: which part of a pod an event is about."""
    for kind in ("initContainers", "ephemeralContainers"):
        if any(container.name == name for container in getattr(pod.spec, kind)):
            return f"spec.{kind}{{{name}}}"
    return f"spec.containers{{{name}}}"


def is_static(pod: core_v1.Pod) -> bool:
    """Whether the pod comes from a manifest on this node and not from the API server."""
    return pod.metadata.annotations.get(CONFIG_SOURCE, "api") != "api"


def is_mirror(pod: core_v1.Pod) -> bool:
    """Whether an API object merely shows a static pod."""
    return CONFIG_MIRROR in pod.metadata.annotations
