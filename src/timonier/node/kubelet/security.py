"""Security contexts: what a pod and its containers say, merged and in the runtime's terms. Pure.

Source: Kubernetes documentation, "Configure a Security Context for a Pod or Container".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from timonier.api.types import core_v1
from timonier.node.cri.contract import ImageStatus, Namespace, Namespaces, SeccompProfile, Security
from timonier.node.kubelet import names
from timonier.node.kubelet.environment import ConfigError

MASKED_PATHS = ("/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
                "/sys/devices/virtual/powercap")
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

T = TypeVar("T")


def namespaces(pod: core_v1.Pod, target: str = "") -> Namespaces:
    """Which Linux namespaces the pod's containers have for themselves, share, or take from the node."""
    spec = pod.spec
    pid = Namespace.POD if spec.shareProcessNamespace else Namespace.CONTAINER
    if target or spec.hostPID:
        pid = Namespace.TARGET if target else Namespace.NODE
    return Namespaces(network=Namespace.NODE if spec.hostNetwork else Namespace.POD, pid=pid,
                      ipc=Namespace.NODE if spec.hostIPC else Namespace.POD, target=target)


def sandbox_security(pod: core_v1.Pod) -> Security:
    context = pod.spec.securityContext or core_v1.PodSecurityContext()
    privileged = any(container.securityContext and container.securityContext.privileged
                     for container in names.every_container(pod))
    return Security(
        namespaces=namespaces(pod), privileged=privileged, run_as_user=context.runAsUser,
        run_as_group=context.runAsGroup if context.runAsUser is not None else None,
        supplemental_groups=groups(context), seccomp=SeccompProfile())


def container_security(pod: core_v1.Pod, container: core_v1.Container, image: ImageStatus | None,
                       seccomp_root: Path, target: str = "") -> Security:
    """The container's own settings before the pod's, and the image's user where neither has one.

    `target` is the id of the container whose processes an ephemeral one is to see. Raises ConfigError where it would
    run as root against its own word.
    """
    of_pod = pod.spec.securityContext or core_v1.PodSecurityContext()
    own = container.securityContext or core_v1.SecurityContext()
    user = first(own.runAsUser, of_pod.runAsUser)
    check_not_root(pod, container, user, image)
    username = ""
    if user is None and image is not None:
        user, username = image.uid, image.username if image.uid is None else ""
    group = first(own.runAsGroup, of_pod.runAsGroup)
    unmasked = own.procMount == "Unmasked"
    capabilities = own.capabilities or core_v1.Capabilities()
    return Security(
        namespaces=namespaces(pod, target), privileged=bool(own.privileged),
        add_capabilities=tuple(capabilities.add), drop_capabilities=tuple(capabilities.drop),
        run_as_user=user, run_as_username=username,
        run_as_group=group if user is not None or username else None,
        supplemental_groups=groups(of_pod), readonly_rootfs=bool(own.readOnlyRootFilesystem),
        no_new_privs=own.allowPrivilegeEscalation is False and not own.privileged,
        seccomp=seccomp(first(own.seccompProfile, of_pod.seccompProfile), seccomp_root),
        apparmor=apparmor(first(own.appArmorProfile, of_pod.appArmorProfile)),
        masked_paths=() if unmasked or own.privileged else MASKED_PATHS,
        readonly_paths=() if unmasked or own.privileged else READONLY_PATHS)


def first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)


def groups(context: core_v1.PodSecurityContext) -> tuple[int, ...]:
    extra = () if context.fsGroup is None else (context.fsGroup,)
    return tuple(dict.fromkeys((*context.supplementalGroups, *extra)))


def check_not_root(pod: core_v1.Pod, container: core_v1.Container, user: int | None,
                   image: ImageStatus | None) -> None:
    """Refuse a container that has runAsNonRoot and would run as root, or of which that cannot be known."""
    of_pod = pod.spec.securityContext or core_v1.PodSecurityContext()
    own = container.securityContext or core_v1.SecurityContext()
    if not first(own.runAsNonRoot, of_pod.runAsNonRoot):
        return
    where = f'(pod: "{names.full_name(pod)}", container: {container.name})'
    if user is not None:
        if user == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    if image is not None and image.username:
        raise ConfigError(f"container has runAsNonRoot and image has non-numeric user ({image.username}), "
                          f"cannot verify user is non-root {where}")
    if image is None or not image.uid:
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")


def profile(kind: str, local: str, place: Callable[[str], str]) -> SeccompProfile:
    return SeccompProfile("Localhost", place(local)) if kind == "Localhost" else SeccompProfile(kind)


def seccomp(given: core_v1.SeccompProfile | None, root: Path) -> SeccompProfile:
    """Unconfined where nothing is said, as Kubernetes has it."""
    if given is None or not given.type:
        return SeccompProfile("Unconfined")
    return profile(given.type, given.localhostProfile, lambda name: str(root / name))


def apparmor(given: core_v1.AppArmorProfile | None) -> SeccompProfile | None:
    if given is None or not given.type:
        return None
    return profile(given.type, given.localhostProfile, lambda name: name)
