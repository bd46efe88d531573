"""Make a pod's sandbox, and start a container in it. What is due, and when, was decided before."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from timonier.api.types import core_v1
from timonier.node.cri.contract import (
    ContainerConfig,
    ImageStatus,
    PortMapping,
    RuntimeFailure,
    SandboxConfig,
    SandboxStatus,
)
from timonier.node.kubelet import environment, fields, names, resolver, resources, security
from timonier.node.kubelet.api import Unreachable
from timonier.node.kubelet.context import KubeletContext
from timonier.node.kubelet.environment import ConfigError, Facts
from timonier.node.kubelet.expansion import expand
from timonier.node.kubelet.hooks import failure_message
from timonier.node.kubelet.observed import Knowledge, Observed
from timonier.node.kubelet.start_failure import NotStarted
from timonier.node.kubelet.stop import grace_period


def sandbox_config(context: KubeletContext, pod: core_v1.Pod, attempt: int) -> SandboxConfig:
    meta, settings = pod.metadata, context.settings
    pod_context = pod.spec.securityContext or core_v1.PodSecurityContext()
    labels = {**meta.labels, names.POD_NAME: meta.name, names.POD_NAMESPACE: meta.namespace, names.POD_UID: meta.uid}
    return SandboxConfig(
        name=meta.name, uid=meta.uid, namespace=meta.namespace, attempt=attempt,
        hostname=resolver.kernel_hostname(pod, settings.cluster_domain), log_directory=str(log_directory(context, pod)),
        dns=context.dns(pod), ports=() if pod.spec.hostNetwork else port_mappings(pod), labels=labels,
        annotations=dict(meta.annotations), cgroup_parent=context.cgroups.parent(pod),
        sysctls={sysctl.name.replace("/", "."): sysctl.value for sysctl in pod_context.sysctls},
        security=security.sandbox_security(pod))


def log_directory(context: KubeletContext, pod: core_v1.Pod) -> Path:
    return context.settings.pod_logs_dir / names.log_directory_name(pod)


def port_mappings(pod: core_v1.Pod) -> tuple[PortMapping, ...]:
    return tuple(PortMapping(port.protocol or "TCP", port.containerPort, port.hostPort or 0, port.hostIP)
                 for container in names.every_container(pod) for port in container.ports)


def unsupported(pod: core_v1.Pod) -> str:
    """What a pod asks for that no sandbox on this node can give; empty where there is nothing."""
    if pod.spec.hostUsers is False:
        return "user namespaces (hostUsers: false) are not supported by this node"
    if pod.spec.resourceClaims:
        return "resource claims are not supported by this node"
    if any(container.volumeDevices for container in names.every_container(pod)):
        return "block volumes (volumeDevices) are not supported by this node"
    return ""


async def make_sandbox(context: KubeletContext, pod: core_v1.Pod, attempt: int) -> None:
    """Raises NotStarted, having told the user why."""
    log_directory(context, pod).mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        if why := unsupported(pod):
            raise RuntimeFailure("UNIMPLEMENTED", why)
        handler = await context.api.runtime_handler(pod.spec.runtimeClassName) if pod.spec.runtimeClassName else ""
        config = dataclasses.replace(sandbox_config(context, pod, attempt), runtime_handler=handler)
        sandbox_id = await context.runtime.run_sandbox(config)
        await context.cache.refresh_sandbox(sandbox_id, pod.metadata.uid)
    except (RuntimeFailure, *Unreachable) as error:
        context.tell(pod, "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}", type="Warning")
        raise NotStarted("CreatePodSandboxError", str(error)) from error


@dataclass(frozen=True)
class ContainerStart:
    """The start of one container, step by step."""

    context: KubeletContext
    pod: core_v1.Pod
    container: core_v1.Container
    sandbox: SandboxStatus
    attempt: int
    knowledge: Knowledge

    async def run(self) -> None:
        """Image, configuration, create, start, postStart. Raises NotStarted, having told the user why."""
        config = sandbox_config(self.context, self.pod, self.sandbox.sandbox.attempt)
        try:
            image = await self.context.images.ensure(self.pod, self.container, config)
        except NotStarted as error:
            self._warn("Failed", f"Error: {error.reason}")
            raise
        try:
            made = await self._config(image)
        except (ConfigError, *Unreachable) as error:
            self._warn("Failed", f"Error: {error}")
            raise NotStarted("CreateContainerConfigError", str(error)) from error
        except OSError as error:
            self._warn("Failed", f"Error: {error}")
            raise NotStarted("CreateContainerError", str(error)) from error
        container_id = await self._create(made, config)
        await self._start(container_id)
        await self._post_start(container_id)

    async def _create(self, made: ContainerConfig, config: SandboxConfig) -> str:
        log_path = Path(config.log_directory) / made.log_path
        log_path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            container_id = await self.context.runtime.create_container(self.sandbox.sandbox.id, made, config)
        except RuntimeFailure as error:
            self._warn("Failed", f"Error: {error.message}")
            raise NotStarted("CreateContainerError", error.message) from error
        self.context.cache.made(container_id, self.sandbox.sandbox.id, self.pod.metadata.uid)
        self._say("Created", "Container created")
        return container_id

    async def _start(self, container_id: str) -> None:
        hook = self.container.lifecycle and self.container.lifecycle.postStart
        if hook:
            self.knowledge.hooks_pending.add(container_id)
        # A start that is broken off leaves a container that for seconds can be neither stopped nor removed.
        await uninterrupted(self._started(container_id))

    async def _started(self, container_id: str) -> None:
        try:
            await self.context.runtime.start_container(container_id)
        except RuntimeFailure as error:
            await self._look(container_id)
            self._warn("Failed", f"Error: {error.message}")
            raise NotStarted("RunContainerError", error.message, retry=0) from error
        self._say("Started", "Container started")
        await self._look(container_id)

    async def _look(self, container_id: str) -> None:
        await self.context.cache.refresh_container(container_id, self.sandbox.sandbox.id, self.pod.metadata.uid)

    async def _post_start(self, container_id: str) -> None:
        """A hook that fails costs the container its life, as a crash would."""
        hook = self.container.lifecycle and self.container.lifecycle.postStart
        if not hook:
            return
        outcome = await self.context.hooks.run(self.container, hook, container_id, self._ips()[0])
        self.knowledge.hooks_pending.discard(container_id)
        if outcome.success:
            return
        message = failure_message("PostStart", self.pod, self.container, hook, outcome)
        self._warn("FailedPostStartHook", message)
        self._say("Killing", "FailedPostStartHook")
        await self.context.runtime.stop_container(container_id, grace_period(self.pod))
        raise NotStarted("PostStartHookError", message, retry=0)

    async def _config(self, image: ImageStatus) -> ContainerConfig:
        """Everything that the container is made from. Raises ConfigError, OSError and what `Api` raises."""
        pod, container, context = self.pod, self.container, self.context
        config_maps, secrets = environment.sources(container)
        objects = await context.api.objects(pod.metadata.namespace, config_maps, secrets) \
            if config_maps or secrets else environment.Objects()
        safe = security.container_security(pod, container, image, context.seccomp_root, self._target())
        ips = self._ips()
        facts = Facts(fields.Addresses(ips, context.host.ips), context.node.status.allocatable,
                      tuple(context.api.services(pod.metadata.namespace)))
        variables = environment.environment(pod, container, objects, facts)
        hosts = context.hosts_file(pod, ips)
        mounts = await asyncio.to_thread(context.volumes.container_mounts, pod, container, variables, hosts,
                                         self.attempt)
        return ContainerConfig(
            name=container.name, image=image.id, attempt=self.attempt,
            command=tuple(expand(word, variables) for word in container.command),
            args=tuple(expand(word, variables) for word in container.args), working_dir=container.workingDir,
            env=tuple(variables.items()), mounts=tuple(mounts), labels=self._labels(),
            annotations=self._annotations(), log_path=f"{container.name}/{self.attempt}.log",
            stdin=bool(container.stdin), stdin_once=bool(container.stdinOnce), tty=bool(container.tty),
            resources=resources.linux_resources(pod, container, context.memory_capacity,
                                                unified=context.cgroups.unified),
            security=safe)

    def _target(self) -> str:
        """The id of the container whose processes this one is to see. Raises ConfigError where it does not run."""
        own = next((one for one in self.pod.spec.ephemeralContainers if one.name == self.container.name), None)
        if own is None or not own.targetContainerName:
            return ""
        run = self.context.cache.observed(self.pod.metadata.uid).active(own.targetContainerName)
        if run is None or not run.running:
            raise ConfigError(f'unable to find target container "{own.targetContainerName}"')
        return run.id

    def _ips(self) -> tuple[str, ...]:
        return self.sandbox.ips or (self.context.host.ips if self.pod.spec.hostNetwork else ("",))

    def _labels(self) -> dict[str, str]:
        meta = self.pod.metadata
        return {names.POD_NAME: meta.name, names.POD_NAMESPACE: meta.namespace, names.POD_UID: meta.uid,
                names.CONTAINER_NAME: self.container.name}

    def _annotations(self) -> dict[str, str]:
        """What a kubelet that comes after this one has to know of the container, should the pod be gone by then."""
        hook = self.container.lifecycle and self.container.lifecycle.preStop
        found = {names.HASH: names.container_hash(self.container), names.RESTART_COUNT: str(self.attempt),
                 names.MESSAGE_PATH: self.container.terminationMessagePath,
                 names.MESSAGE_POLICY: self.container.terminationMessagePolicy,
                 names.GRACE_PERIOD: str(grace_period(self.pod))}
        if hook:
            found[names.PRE_STOP] = msgspec.json.encode(hook).decode()
        return found

    def _say(self, reason: str, message: str) -> None:
        self.context.tell(self.pod, reason, message, fieldPath=names.field_path(self.pod, self.container.name))

    def _warn(self, reason: str, message: str) -> None:
        self.context.tell(self.pod, reason, message, type="Warning",
                          fieldPath=names.field_path(self.pod, self.container.name))


def next_attempt(pod: core_v1.Pod, name: str, observed: Observed) -> int:
    """One more than the last run, which the runtime or else the pod's status remembers."""
    if run := observed.newest(name):
        return run.status.attempt + 1
    for status in (*pod.status.initContainerStatuses, *pod.status.containerStatuses):
        if status.name == name and status.containerID:
            return status.restartCount + 1
    return 0


async def uninterrupted(step: Coroutine[Any, Any, None]) -> None:
    """Bring a step to its end, though whoever waits for it is cancelled meanwhile; then the cancellation goes on."""
    task = asyncio.ensure_future(step)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # nobody is left to whom it matters
        raise
