"""The controls of level baseline: what would let a pod out of its isolation."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from timonier.api.podsecurity.pods import (
    Control,
    Object,
    Pod,
    Violation,
    listed,
    names,
    quoted,
    security,
    setters,
    several,
)

APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
SECCOMP_POD, SECCOMP_CONTAINER = ("seccomp.security.alpha.kubernetes.io/pod",
                                  "container.seccomp.security.alpha.kubernetes.io/")
PROFILES = ("RuntimeDefault", "Localhost")
CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"})
SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t"})
SELINUX_TYPES_31 = SELINUX_TYPES | {"container_engine_t"}
SYSCTLS = frozenset({"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
                     "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"})
SYSCTLS_27 = SYSCTLS | {"net.ipv4.ip_local_reserved_ports"}
SYSCTLS_29 = SYSCTLS_27 | {"net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
                           "net.ipv4.tcp_keepalive_probes"}
SYSCTLS_32 = SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}
SYSCTLS_37 = SYSCTLS_32 | {"net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat"}


def app_armor(pod: Pod) -> Violation | None:
    """A profile other than the runtime's own or one of the node's, by field or by annotation."""
    found = [str((security(each).get("appArmorProfile") or {}).get("type", "")) for each in pod.containers]
    of_pod = (pod.security.get("appArmorProfile") or {}).get("type", "")
    wrong = [name for name, kind in zip(names(pod.containers), found, strict=True) if kind not in ("", *PROFILES)]
    values = sorted({kind for kind in (of_pod, *found) if kind not in ("", *PROFILES)})
    details = [f"{setters(of_pod in values, wrong)} must not set AppArmor profile type to {quoted(values)}"] \
        if values else []
    details += sorted(f'{key}="{value}"' for key, value in pod.annotations.items() if key.startswith(APP_ARMOR)
                      and value not in ("", "runtime/default") and not value.startswith("localhost/"))
    if not details:
        return None
    return Violation(several(len(details), "forbidden AppArmor profile", "forbidden AppArmor profiles"),
                     ", ".join(details))


def capabilities(pod: Pod) -> Violation | None:
    bad = [(container["name"], wrong) for container in pod.containers
           if (wrong := set((security(container).get("capabilities") or {}).get("add") or ()) - CAPABILITIES)]
    if not bad:
        return None
    return Violation("non-default capabilities", f"{listed([name for name, _ in bad])} must not include "
                     f"{quoted(sorted(set().union(*(wrong for _, wrong in bad))))} in securityContext.capabilities.add")


def host_namespaces(pod: Pod) -> Violation | None:
    shared = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(field)]
    return Violation("host namespaces", ", ".join(shared)) if shared else None


def host_path_volumes(pod: Pod) -> Violation | None:
    bad = [volume["name"] for volume in pod.spec.get("volumes") or () if volume.get("hostPath") is not None]
    return Violation("hostPath volumes", f"{several(len(bad), 'volume', 'volumes')} {quoted(bad)}") if bad else None


def host_ports(pod: Pod) -> Violation | None:
    bad = [(container["name"], ports) for container in pod.containers
           if (ports := {str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")})]
    if not bad:
        return None
    found = sorted({port for _, ports in bad for port in ports})
    return Violation("hostPort", f"{listed([name for name, _ in bad])} {several(len(bad), 'uses', 'use')} "
                     f"{several(len(found), 'hostPort', 'hostPorts')} {', '.join(found)}")


def host_probes(pod: Pod) -> Violation | None:
    """A probe or a hook that asks another host than the pod would have the kubelet ask it."""
    bad = sorted((container["name"], hosts) for container in pod.containers if (hosts := probed_hosts(container)))
    if not bad:
        return None
    hosts = sorted({host for _, each in bad for host in each})
    return Violation("probe or lifecycle host", f"{listed([name for name, _ in bad])} "
                     f"{several(len(bad), 'uses', 'use')} "
                     f"{several(len(hosts), 'probe or lifecycle host', 'probe or lifecycle hosts')} {quoted(hosts)}")


def probed_hosts(container: Object) -> list[str]:
    asked = [container.get(probe) for probe in ("livenessProbe", "readinessProbe", "startupProbe")]
    asked += [(container.get("lifecycle") or {}).get(hook) for hook in ("postStart", "preStop")]
    return [host for each in asked if each for action in ("httpGet", "tcpSocket")
            if (host := (each.get(action) or {}).get("host"))]


def privileged(pod: Pod) -> Violation | None:
    bad = names(container for container in pod.containers if security(container).get("privileged"))
    return Violation("privileged", f"{listed(bad)} must not set securityContext.privileged=true") if bad else None


def proc_mount(pod: Pod) -> Violation | None:
    bad = [(container["name"], kind) for container in pod.containers
           if (kind := security(container).get("procMount")) not in (None, "Default")]
    if not bad:
        return None
    return Violation("procMount", f"{listed([name for name, _ in bad])} must not set securityContext.procMount to "
                     f"{quoted(sorted({kind for _, kind in bad}))}")


def proc_mount_35(pod: Pod) -> Violation | None:
    """In a user namespace of its own, a pod may see all of /proc."""
    return None if pod.in_user_namespace else proc_mount(pod)


def selinux_of(allowed: Collection[str]) -> Control:
    return partial(selinux, allowed)


def selinux(allowed: Collection[str], pod: Pod) -> Violation | None:
    def wrong(holder: Object) -> bool:
        options = security(holder).get("seLinuxOptions") or {}
        return options.get("type", "") not in allowed or bool(options.get("user")) or bool(options.get("role"))

    bad, of_pod = [container for container in pod.containers if wrong(container)], wrong(pod.spec)
    if not bad and not of_pod:
        return None
    found = [security(holder).get("seLinuxOptions") or {} for holder in (*([pod.spec] if of_pod else []), *bad)]
    types = sorted({options.get("type", "") for options in found} - set(allowed))
    data = [f"{several(len(types), 'type', 'types')} {quoted(types)}"] if types else []
    data += [f"{field} may not be set" for field in ("user", "role") if any(options.get(field) for options in found)]
    return Violation("seLinuxOptions", f"{setters(of_pod, names(bad))} set forbidden securityContext.seLinuxOptions: "
                     f"{'; '.join(data)}")


def seccomp_annotations(pod: Pod) -> Violation | None:
    keys = [SECCOMP_POD, *(SECCOMP_CONTAINER + name for name in names(pod.containers))]
    bad = sorted({f'{key}="{value}"' for key in keys if (value := pod.annotations.get(key)) is not None
                  and value not in ("runtime/default", "docker/default") and not value.startswith("localhost/")})
    if not bad:
        return None
    return Violation("seccompProfile", f"forbidden {several(len(bad), 'annotation', 'annotations')} {', '.join(bad)}")


def seccomp(pod: Pod) -> Violation | None:
    found = [(container["name"], kind) for container in pod.containers if (kind := profile(container)) is not None]
    bad, of_pod = [(name, kind) for name, kind in found if kind not in PROFILES], profile(pod.spec)
    if not bad and of_pod in (None, *PROFILES):
        return None
    values = {kind for _, kind in bad} | ({of_pod} if of_pod not in (None, *PROFILES) else set())
    return Violation("seccompProfile", f"{setters(of_pod in values, [name for name, _ in bad])} must not set "
                     f"securityContext.seccompProfile.type to {quoted(sorted(map(str, values)))}")


def profile(holder: Object) -> str | None:
    """The type of a seccomp profile; None where none is named."""
    found = security(holder).get("seccompProfile")
    return None if found is None else str(found.get("type", ""))


def sysctls_of(allowed: Collection[str]) -> Control:
    return partial(sysctls, allowed)


def sysctls(allowed: Collection[str], pod: Pod) -> Violation | None:
    bad = [sysctl["name"] for sysctl in pod.security.get("sysctls") or () if sysctl["name"] not in allowed]
    return Violation("forbidden sysctls", ", ".join(bad)) if bad else None


def windows_host_process(pod: Pod) -> Violation | None:
    def hosted(holder: Object) -> bool:
        return bool((security(holder).get("windowsOptions") or {}).get("hostProcess"))

    bad, of_pod = names(container for container in pod.containers if hosted(container)), hosted(pod.spec)
    if not bad and not of_pod:
        return None
    return Violation("hostProcess",
                     f"{setters(of_pod, bad)} must not set securityContext.windowsOptions.hostProcess=true")
