"""Containers of each sort: names, images, ports, mounts, policies. What they request, ask and run is beside this."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.environment import environment
from timonier.api.validation.handlers import lifecycle, probe
from timonier.api.validation.paths import local_path
from timonier.api.validation.resources import requirements
from timonier.api.validation.security import container_security

PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
RECURSIVE = ("Disabled", "Enabled", "IfPossible")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
RULE_ACTIONS = ("Restart", "RestartAllContainers")
MOST_RULES, MOST_EXIT_CODES = 20, 255
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
NOT_FOR_EPHEMERAL = ("ports", "resources", "resizePolicy", *PROBES, "lifecycle", "restartPolicyRules")
NEEDS_SIDECAR = "may not be set for init containers without restartPolicy=Always"
EPHEMERAL_ONLY = "cannot be set for an Ephemeral Container"


@dataclass(frozen=True)
class Pod:
    """What containers are judged by of the pod that they are in."""

    spec: Obj
    volumes: dict[str, Obj]
    itself: bool
    """Whether it is a pod, and no template of one."""
    claims: frozenset[str] = field(default=frozenset())

    @property
    def grace(self) -> int | None:
        """Seconds between being asked to stop and being made to; None where that is wrong itself."""
        return self.spec.get("terminationGracePeriodSeconds")


def containers(pod: Pod, path: str, causes: Causes) -> None:
    """The containers of each sort of a pod spec, which share their names."""
    spec = pod.spec
    running, initial = spec.get("containers", ()), spec.get("initContainers", ())
    if not running:
        causes.required(f"{path}.containers")
    else:
        run(running, pod, f"{path}.containers", causes)
    if initial:
        initialise(initial, {each.get("name", "") for each in running}, pod, f"{path}.initContainers", causes)
    if "ephemeralContainers" in spec:
        others = {each.get("name", "") for each in (*running, *initial)}
        ephemeral(spec["ephemeralContainers"], others, pod, f"{path}.ephemeralContainers", causes)


def run(listed: Sequence[Obj], pod: Pod, path: str, causes: Causes) -> None:
    taken: set[str] = set()
    for index, container in enumerate(listed):
        at, name = f"{path}[{index}]", container.get("name", "")
        common(container, pod, at, causes)
        if name in taken:
            causes.duplicate(f"{at}.name", name)
        taken.add(name)
        watched(container, pod, at, causes)
        restart_policy(container, at, causes)
    host_ports(listed, path, causes)


def initialise(listed: Sequence[Obj], taken: set[str], pod: Pod, path: str, causes: Causes) -> None:
    """Init containers end before the next starts, unless they are sidecars (`restartPolicy: Always`)."""
    for index, container in enumerate(listed):
        at, name = f"{path}[{index}]", container.get("name", "")
        common(container, pod, at, causes)
        restart_policy(container, at, causes)
        if name and name in taken:
            causes.duplicate(f"{at}.name", name)
        taken.add(name)
        host_ports([container], path, causes)
        if container.get("restartPolicy") == "Always":
            watched(container, pod, at, causes)
            continue
        for each in ("lifecycle", *PROBES):
            if each in container:
                causes.forbidden(f"{at}.{each}", NEEDS_SIDECAR)


def ephemeral(listed: Sequence[Obj], others: set[str], pod: Pod, path: str, causes: Causes) -> None:
    """Containers that are added to a running pod, and promise nothing."""
    taken = set(others)
    for index, container in enumerate(listed):
        at, name, target = f"{path}[{index}]", container.get("name", ""), container.get("targetContainerName", "")
        common(container, pod, at, causes)
        untrimmed(container, at, causes)
        if name in taken:
            causes.duplicate(f"{at}.name", name)
        taken.add(name)
        if target and target not in others:
            causes.not_found(f"{at}.targetContainerName", target)
        for each in NOT_FOR_EPHEMERAL:
            if container.get(each):
                causes.forbidden(f"{at}.{each}", EPHEMERAL_ONLY)
        for place, mount in enumerate(container.get("volumeMounts", ())):
            for each in ("subPath", "subPathExpr"):
                if mount.get(each):
                    causes.forbidden(f"{at}.volumeMounts[{place}].{each}", EPHEMERAL_ONLY)


def common(container: Obj, pod: Pod, path: str, causes: Causes) -> None:
    causes.required_name(container, path, "name", names.dns_label)
    if not container.get("image"):
        causes.required(f"{path}.image")
    causes.one_of(container, path, "terminationMessagePolicy", MESSAGE_POLICIES)
    if "ports" in container:
        ports(container["ports"], f"{path}.ports", causes)
    environment(container, path, causes)
    if "volumeMounts" in container:
        mounts(container, pod, f"{path}.volumeMounts", causes)
    if "volumeDevices" in container:
        devices(container, pod, f"{path}.volumeDevices", causes)
    causes.one_of(container, path, "imagePullPolicy", PULL_POLICIES)
    if "resources" in container:
        requirements(container["resources"], f"{path}.resources", causes, pod.claims)
    if "resizePolicy" in container:
        resize_policies(container["resizePolicy"], pod.spec.get("restartPolicy"), f"{path}.resizePolicy", causes)
    if "securityContext" in container:
        own_users = pod.spec.get("hostUsers") is False
        container_security(container["securityContext"], f"{path}.securityContext", causes, own_users=own_users)


def untrimmed(container: Obj, path: str, causes: Causes) -> None:
    """Templates may have an image that is still to be filled in; pods may not."""
    image = container.get("image", "")
    if image.strip() != image:
        causes.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")


def watched(container: Obj, pod: Pod, path: str, causes: Causes) -> None:
    if "lifecycle" in container:
        system = pod.spec.get("os", {}).get("name", "")
        lifecycle(container["lifecycle"], pod.grace, system, f"{path}.lifecycle", causes)
    for each in PROBES:
        if each in container:
            probe(container[each], f"{path}.{each}", causes, readiness=each == "readinessProbe")


def restart_policy(container: Obj, path: str, causes: Causes) -> None:
    """When a container starts again, whatever the pod's other containers do (KEP-5307)."""
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules", ())
    if policy is None:
        if rules:
            causes.required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used")
        return
    causes.optional(container, path, "restartPolicy", RESTART_POLICIES)
    if len(rules) > MOST_RULES:
        causes.too_many(f"{path}.restartPolicyRules", len(rules), MOST_RULES)
    for index, rule in enumerate(rules):
        restart_rule(rule, f"{path}.restartPolicyRules[{index}]", causes)


def restart_rule(rule: Obj, path: str, causes: Causes) -> None:
    action, codes = rule.get("action", ""), rule.get("exitCodes")
    if action not in RULE_ACTIONS:
        causes.unsupported(f"{path}.action", action, RULE_ACTIONS)
    if codes is None:
        causes.required(f"{path}.exitCodes", "must be specified")
        return
    if codes.get("operator", "") not in ("In", "NotIn"):
        causes.unsupported(f"{path}.exitCodes.operator", codes.get("operator", ""), ("In", "NotIn"))
    if (many := len(codes.get("values", ()))) > MOST_EXIT_CODES:
        causes.too_many(f"{path}.exitCodes.values", many, MOST_EXIT_CODES)


def ports(listed: Iterable[Obj], path: str, causes: Causes) -> None:
    taken: set[str] = set()
    for index, port in enumerate(listed):
        at = f"{path}[{index}]"
        if name := port.get("name"):
            wrong = names.port_name(name)
            causes.each_invalid(f"{at}.name", name, wrong)
            if not wrong and name in taken:
                causes.duplicate(f"{at}.name", name)
            taken.add(name)
        if not port.get("containerPort"):
            causes.required(f"{at}.containerPort")
        else:
            causes.each_invalid(f"{at}.containerPort", port["containerPort"], names.port_number(port["containerPort"]))
        if port.get("hostPort"):
            causes.each_invalid(f"{at}.hostPort", port["hostPort"], names.port_number(port["hostPort"]))
        causes.one_of(port, at, "protocol", PROTOCOLS)


def host_ports(listed: Iterable[Obj], path: str, causes: Causes) -> None:
    """Ports of the node belong to one container each."""
    taken: set[str] = set()
    for index, container in enumerate(listed):
        for place, port in enumerate(container.get("ports", ())):
            if number := port.get("hostPort"):
                claim = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{number}"
                if claim in taken:
                    causes.duplicate(f"{path}[{index}].ports[{place}].hostPort", claim)
                taken.add(claim)


def mounts(container: Obj, pod: Pod, path: str, causes: Causes) -> None:
    raw = container.get("volumeDevices", ())
    devices_named = {device.get("name", "") for device in raw}
    device_paths = {device.get("devicePath", "") for device in raw}
    taken: set[str] = set()
    for index, mount in enumerate(container["volumeMounts"]):
        at, name, target = f"{path}[{index}]", mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            causes.required(f"{at}.name")
        if name not in pod.volumes:
            causes.not_found(f"{at}.name", name)
        if not target:
            causes.required(f"{at}.mountPath")
        if target in taken:
            causes.invalid(f"{at}.mountPath", target, "must be unique")
        taken.add(target)
        if name in devices_named:
            causes.invalid(f"{at}.name", name, "must not already exist in volumeDevices")
        if target in device_paths:
            causes.invalid(f"{at}.mountPath", target, "must not already exist as a path in volumeDevices")
        for each in ("subPath", "subPathExpr"):
            if below := mount.get(each):
                if each == "subPathExpr" and mount.get("subPath"):
                    causes.invalid(f"{at}.{each}", below, "subPathExpr and subPath are mutually exclusive")
                local_path(below, f"{path}.{each}", causes)
        if "mountPropagation" in mount:
            propagation(mount["mountPropagation"], container, f"{path}.mountPropagation", causes)
        if "recursiveReadOnly" in mount:
            recursive(mount, f"{path}.recursiveReadOnly", causes)


def propagation(value: str, container: Obj, path: str, causes: Causes) -> None:
    if value not in PROPAGATIONS:
        causes.unsupported(path, value, PROPAGATIONS)
    if value == "Bidirectional" and not container.get("securityContext", {}).get("privileged"):
        causes.forbidden(path, "Bidirectional mount propagation is available only to privileged containers")


def recursive(mount: Obj, path: str, causes: Causes) -> None:
    """Whether what is mounted below is read-only too (KEP-3857)."""
    value = mount["recursiveReadOnly"]
    if value not in RECURSIVE:
        causes.unsupported(path, value, RECURSIVE)
    elif value != "Disabled":
        if not mount.get("readOnly"):
            causes.forbidden(path, "may only be specified when readOnly is true")
        if mount.get("mountPropagation", "None") != "None":
            causes.forbidden(path, "may only be specified when mountPropagation is None or not specified")


def devices(container: Obj, pod: Pod, path: str, causes: Causes) -> None:
    """Volumes that containers get as block devices."""
    mounted = container.get("volumeMounts", ())
    mounts_named, mount_paths = ({mount.get(key, "") for mount in mounted} for key in ("name", "mountPath"))
    taken, taken_paths = set[str](), set[str]()
    for index, device in enumerate(container["volumeDevices"]):
        at, name, target = f"{path}[{index}]", device.get("name", ""), device.get("devicePath", "")
        if not name:
            causes.required(f"{at}.name")
        if name in taken:
            causes.invalid(f"{at}.name", name, "must be unique")
        volume = pod.volumes.get(name)
        if volume is None:
            causes.not_found(f"{at}.name", name)
        elif not volume.keys() & {"persistentVolumeClaim", "ephemeral"}:
            causes.invalid(f"{at}.name", name, "can only use volume source type of PersistentVolumeClaim or Ephemeral "
                           "for block mode")
        if not target:
            causes.required(f"{at}.devicePath")
        if target in taken_paths:
            causes.invalid(f"{at}.devicePath", target, "must be unique")
        if ".." in target.split("/"):
            causes.invalid(f"{at}.devicePath", target, "can not contain backsteps ('..')")
        else:
            taken_paths.add(target)
        if name in mounts_named:
            causes.invalid(f"{at}.name", name, "must not already exist in volumeMounts")
        if target in mount_paths:
            causes.invalid(f"{at}.devicePath", target, "must not already exist as a path in volumeMounts")
        if name:
            taken.add(name)


def resize_policies(listed: Iterable[Obj], restarts: str | None, path: str, causes: Causes) -> None:
    """What becomes of a container when its resources change."""
    taken: set[str] = set()
    for index, policy in enumerate(listed):
        resource, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if resource in taken:
            causes.duplicate(f"{path}[{index}]", resource)
        taken.add(resource)
        for value, supported in ((resource, ("cpu", "memory")), (restart, ("NotRequired", "RestartContainer"))):
            if not value:
                causes.required(path)
            elif value not in supported:
                causes.unsupported(path, value, supported)
        if restarts == "Never" and restart != "NotRequired":
            causes.invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'")
