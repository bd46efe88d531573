"""Between the contract's dataclasses and CRI's protobuf messages: pure translation, no calls.

CRI counts time in nanoseconds and wraps numbers whose absence matters; both end here.
"""

from __future__ import annotations

from collections.abc import Iterable

from timonier.kit.clock import Time
from timonier.node.cri import contract as c
from timonier.node.cri import cri_pb2 as pb

NANOS = 1_000_000_000

NAMESPACE_MODES = {c.Namespace.POD: pb.POD, c.Namespace.CONTAINER: pb.CONTAINER, c.Namespace.NODE: pb.NODE,
                   c.Namespace.TARGET: pb.TARGET}
NAMESPACES = {mode: namespace for namespace, mode in NAMESPACE_MODES.items()}
PROPAGATION_MODES = {c.Propagation.PRIVATE: pb.PRIVATE, c.Propagation.HOST_TO_CONTAINER: pb.HOST_TO_CONTAINER,
                     c.Propagation.BIDIRECTIONAL: pb.BIDIRECTIONAL}
PROPAGATIONS = {mode: propagation for propagation, mode in PROPAGATION_MODES.items()}
PROTOCOLS = {"TCP": pb.TCP, "UDP": pb.UDP, "SCTP": pb.SCTP}
PROFILES = {"RuntimeDefault": pb.SecurityProfile.RuntimeDefault, "Unconfined": pb.SecurityProfile.Unconfined,
            "Localhost": pb.SecurityProfile.Localhost}
CONTAINER_STATES = {pb.CONTAINER_CREATED: c.ContainerState.CREATED, pb.CONTAINER_RUNNING: c.ContainerState.RUNNING,
                    pb.CONTAINER_EXITED: c.ContainerState.EXITED, pb.CONTAINER_UNKNOWN: c.ContainerState.UNKNOWN}
SANDBOX_STATES = {pb.SANDBOX_READY: c.SandboxState.READY, pb.SANDBOX_NOTREADY: c.SandboxState.NOT_READY}


def moment(nanoseconds: int) -> Time:
    return nanoseconds / NANOS if nanoseconds > 0 else 0.0


def wrapped(value: int | None) -> pb.Int64Value | None:
    return None if value is None else pb.Int64Value(value=value)


def profile(given: c.SeccompProfile | None) -> pb.SecurityProfile | None:
    return pb.SecurityProfile(profile_type=PROFILES[given.kind], localhost_ref=given.path) if given else None


def namespace_option(given: c.Namespaces) -> pb.NamespaceOption:
    return pb.NamespaceOption(network=NAMESPACE_MODES[given.network], pid=NAMESPACE_MODES[given.pid],
                              ipc=NAMESPACE_MODES[given.ipc], target_id=given.target)


def dns_config(given: c.DnsConfig | None) -> pb.DNSConfig | None:
    return pb.DNSConfig(servers=given.servers, searches=given.searches, options=given.options) if given else None


def sandbox_config(config: c.SandboxConfig) -> pb.PodSandboxConfig:
    security = config.security
    return pb.PodSandboxConfig(
        metadata=pb.PodSandboxMetadata(name=config.name, uid=config.uid, namespace=config.namespace,
                                       attempt=config.attempt),
        hostname=config.hostname, log_directory=config.log_directory, labels=dict(config.labels),
        annotations=dict(config.annotations),
        dns_config=dns_config(config.dns),
        port_mappings=[pb.PortMapping(protocol=PROTOCOLS[port.protocol], container_port=port.container_port,
                                      host_port=port.host_port, host_ip=port.host_ip) for port in config.ports],
        linux=pb.LinuxPodSandboxConfig(
            cgroup_parent=config.cgroup_parent, sysctls=dict(config.sysctls),
            security_context=pb.LinuxSandboxSecurityContext(
                namespace_options=namespace_option(security.namespaces), privileged=security.privileged,
                run_as_user=wrapped(security.run_as_user), run_as_group=wrapped(security.run_as_group),
                supplemental_groups=security.supplemental_groups, readonly_rootfs=security.readonly_rootfs,
                seccomp=profile(security.seccomp), apparmor=profile(security.apparmor))))


def resources(given: c.LinuxResources) -> pb.LinuxContainerResources:
    return pb.LinuxContainerResources(
        cpu_period=given.cpu_period, cpu_quota=given.cpu_quota, cpu_shares=given.cpu_shares,
        memory_limit_in_bytes=given.memory_limit, oom_score_adj=given.oom_score_adj, unified=dict(given.unified),
        hugepage_limits=[pb.HugepageLimit(page_size=size, limit=limit)
                         for size, limit in given.hugepage_limits.items()])


def security_context(given: c.Security) -> pb.LinuxContainerSecurityContext:
    return pb.LinuxContainerSecurityContext(
        capabilities=pb.Capability(add_capabilities=given.add_capabilities, drop_capabilities=given.drop_capabilities),
        privileged=given.privileged, namespace_options=namespace_option(given.namespaces),
        run_as_user=wrapped(given.run_as_user), run_as_username=given.run_as_username,
        run_as_group=wrapped(given.run_as_group), readonly_rootfs=given.readonly_rootfs,
        supplemental_groups=given.supplemental_groups, no_new_privs=given.no_new_privs,
        masked_paths=given.masked_paths, readonly_paths=given.readonly_paths,
        seccomp=profile(given.seccomp), apparmor=profile(given.apparmor))


def container_config(config: c.ContainerConfig) -> pb.ContainerConfig:
    return pb.ContainerConfig(
        metadata=pb.ContainerMetadata(name=config.name, attempt=config.attempt),
        image=pb.ImageSpec(image=config.image), command=config.command, args=config.args,
        working_dir=config.working_dir, envs=[pb.KeyValue(key=key, value=value) for key, value in config.env],
        mounts=[pb.Mount(container_path=m.container_path, host_path=m.host_path, readonly=m.readonly,
                         propagation=PROPAGATION_MODES[m.propagation]) for m in config.mounts],
        labels=dict(config.labels), annotations=dict(config.annotations), log_path=config.log_path,
        stdin=config.stdin, stdin_once=config.stdin_once, tty=config.tty,
        linux=pb.LinuxContainerConfig(resources=resources(config.resources),
                                      security_context=security_context(config.security)))


def auth_config(auth: c.Auth | None) -> pb.AuthConfig | None:
    if auth is None:
        return None
    return pb.AuthConfig(username=auth.username, password=auth.password, auth=auth.auth,
                         server_address=auth.server_address, identity_token=auth.identity_token,
                         registry_token=auth.registry_token)


def sandbox(given: pb.PodSandbox | pb.PodSandboxStatus) -> c.Sandbox:
    meta = given.metadata
    return c.Sandbox(given.id, meta.name, meta.uid, meta.namespace, meta.attempt, SANDBOX_STATES[given.state],
                     moment(given.created_at), dict(given.labels), dict(given.annotations))


def sandbox_status(given: pb.PodSandboxStatus) -> c.SandboxStatus:
    network = given.network
    ips = [network.ip, *(more.ip for more in network.additional_ips)]
    return c.SandboxStatus(sandbox(given), tuple(ip for ip in ips if ip),
                           NAMESPACES[given.linux.namespaces.options.network])


def container(given: pb.Container) -> c.Container:
    return c.Container(given.id, given.pod_sandbox_id, given.metadata.name, given.metadata.attempt, given.image.image,
                       given.image_ref, CONTAINER_STATES[given.state], moment(given.created_at), dict(given.labels),
                       dict(given.annotations))


def container_status(given: pb.ContainerStatus) -> c.ContainerStatus:
    return c.ContainerStatus(
        id=given.id, name=given.metadata.name, attempt=given.metadata.attempt, state=CONTAINER_STATES[given.state],
        created_at=moment(given.created_at), started_at=moment(given.started_at),
        finished_at=moment(given.finished_at), exit_code=given.exit_code, image=given.image.image,
        image_ref=given.image_ref, reason=given.reason, message=given.message, log_path=given.log_path,
        labels=dict(given.labels), annotations=dict(given.annotations),
        mounts=tuple(c.Mount(m.container_path, m.host_path, m.readonly, PROPAGATIONS[m.propagation])
                     for m in given.mounts))


def image(given: pb.Image) -> c.ImageStatus:
    return c.ImageStatus(given.id, tuple(given.repo_tags), tuple(given.repo_digests), given.size,
                         given.uid.value if given.HasField("uid") else None, given.username, given.pinned)


def stats(given: pb.ContainerStats) -> c.ContainerStats:
    attributes = given.attributes
    return c.ContainerStats(
        attributes.id, attributes.metadata.name, dict(attributes.labels),
        moment(given.cpu.timestamp or given.memory.timestamp), given.cpu.usage_core_nano_seconds.value,
        given.memory.working_set_bytes.value, given.writable_layer.used_bytes.value,
        given.writable_layer.inodes_used.value)


def filesystems(given: Iterable[pb.FilesystemUsage]) -> list[c.FilesystemUsage]:
    return [c.FilesystemUsage(usage.fs_id.mountpoint, usage.used_bytes.value, usage.inodes_used.value)
            for usage in given]
