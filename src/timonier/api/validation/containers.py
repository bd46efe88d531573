"""Containers: names, images, ports, environment, mounts, probes, lifecycle, resources."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from timonier.api import names, quantity
from timonier.api.validation.causes import NON_NEGATIVE, POSITIVE, Causes, Obj
from timonier.api.validation.metadata import port_or_name
from timonier.api.validation.security import container_security
from timonier.api.validation.volumes import field_ref, local_path, resource_field_ref

PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
ENV_FIELDS = ("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
              "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs")
ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
STANDARD = ("cpu", "memory", "ephemeral-storage")
MANY_SOURCES = "may not have more than one field specified at a time"
ONE_PROBE = "must be 1"


def containers(spec: Obj, volumes: set[str], path: str, causes: Causes) -> None:
    """The containers and init containers of a pod spec, and the names that all of them share."""
    if not spec.get("containers"):
        causes.required(f"{path}.containers")
    taken: set[str] = set()
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field, ())):
            at = f"{path}.{field}[{index}]"
            container_common(container, volumes, spec, at, causes)
            name = container.get("name", "")
            if name and name in taken:
                causes.duplicate(f"{at}.name", name)
            taken.add(name)
            if field == "containers":
                running(container, spec, at, causes)
            elif field == "initContainers":
                initialising(container, spec, at, causes)
            else:
                ephemeral(container, at, causes)
    host_ports(spec.get("containers", ()), f"{path}.containers", causes)


def running(container: Obj, spec: Obj, path: str, causes: Causes) -> None:
    grace = spec.get("terminationGracePeriodSeconds", 30)
    if "lifecycle" in container:
        lifecycle(container["lifecycle"], grace, f"{path}.lifecycle", causes)
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if field in container:
            probe(container[field], f"{path}.{field}", causes, readiness=field == "readinessProbe")


def initialising(container: Obj, spec: Obj, path: str, causes: Causes) -> None:
    """Init containers end before the next starts, unless they are sidecars (`restartPolicy: Always`)."""
    policy = container.get("restartPolicy")
    if policy is not None and policy not in ("Always", "Never", "OnFailure"):
        causes.unsupported(f"{path}.restartPolicy", policy, ("Always", "Never", "OnFailure"))
    if policy == "Always":
        running(container, spec, path, causes)
        return
    for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if field in container:
            causes.forbidden(f"{path}.{field}", "may not be set for init containers without restartPolicy=Always")


def ephemeral(container: Obj, path: str, causes: Causes) -> None:
    for field in ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resizePolicy"):
        if container.get(field):
            causes.forbidden(f"{path}.{field}", "cannot be set for an Ephemeral Container")
    if any(container.get("resources", {}).values()):
        causes.forbidden(f"{path}.resources", "cannot be set for an Ephemeral Container")


def container_common(container: Obj, volumes: set[str], spec: Obj, path: str, causes: Causes) -> None:
    name, image = container.get("name", ""), container.get("image", "")
    if not name:
        causes.required(f"{path}.name")
    else:
        causes.each_invalid(f"{path}.name", name, names.dns_label(name))
    if not image:
        causes.required(f"{path}.image")
    elif image.strip() != image:
        causes.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    causes.one_of(container, path, "terminationMessagePolicy", MESSAGE_POLICIES)
    ports(container.get("ports", ()), f"{path}.ports", causes, host=bool(spec.get("hostNetwork")))
    environment(container, path, causes)
    mounts(container, volumes, path, causes)
    causes.one_of(container, path, "imagePullPolicy", PULL_POLICIES)
    if "resources" in container:
        resources(container["resources"], f"{path}.resources", causes)
    if "securityContext" in container:
        container_security(container["securityContext"], f"{path}.securityContext", causes)


def ports(listed: Iterable[Obj], path: str, causes: Causes, *, host: bool) -> None:
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
        if host and port.get("hostPort") != port.get("containerPort"):
            causes.invalid(f"{at}.containerPort", port.get("containerPort"),
                           "must match `hostPort` when `hostNetwork` is true")


def host_ports(listed: Iterable[Obj], path: str, causes: Causes) -> None:
    taken: set[str] = set()
    for index, container in enumerate(listed):
        for place, port in enumerate(container.get("ports", ())):
            if number := port.get("hostPort"):
                claim = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{number}"
                if claim in taken:
                    causes.duplicate(f"{path}[{index}].ports[{place}].hostPort", claim)
                taken.add(claim)


def environment(container: Obj, path: str, causes: Causes) -> None:
    for index, variable in enumerate(container.get("env", ())):
        at, name = f"{path}.env[{index}]", variable.get("name", "")
        if not name:
            causes.required(f"{at}.name")
        else:
            causes.each_invalid(f"{at}.name", name, names.env_name(name))
        if "valueFrom" in variable:
            value_from(variable, f"{at}.valueFrom", causes)
    for index, source in enumerate(container.get("envFrom", ())):
        at = f"{path}.envFrom[{index}]"
        if prefix := source.get("prefix"):
            causes.each_invalid(f"{at}.prefix", prefix, names.env_name(prefix))
        kinds = [kind for kind in ("configMapRef", "secretRef") if kind in source]
        for kind in kinds:
            reference_name(source[kind], f"{at}.{kind}", causes)
        if len(kinds) != 1:
            causes.invalid(f"{path}.envFrom", "", MANY_SOURCES if kinds else
                           "must specify one of: `configMapRef` or `secretRef`")


def reference_name(reference: Obj, path: str, causes: Causes) -> None:
    name = reference.get("name", "")
    if not name:
        causes.required(f"{path}.name")
    else:
        causes.each_invalid(f"{path}.name", name, names.dns_subdomain(name))


def value_from(variable: Obj, path: str, causes: Causes) -> None:
    source = variable["valueFrom"]
    if "fieldRef" in source:
        field_ref(source["fieldRef"], ENV_FIELDS, f"{path}.fieldRef", causes)
    if "resourceFieldRef" in source:
        resource_field_ref(source["resourceFieldRef"], f"{path}.resourceFieldRef", causes, in_volume=False)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if kind in source:
            if not source[kind].get("name"):
                causes.required(f"{path}.{kind}.name")
            key = source[kind].get("key", "")
            if not key:
                causes.required(f"{path}.{kind}.key")
            else:
                causes.each_invalid(f"{path}.{kind}.key", key, names.config_key(key))
    given = [kind for kind in ENV_SOURCES if kind in source]
    if not given:
        causes.invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
                       "`secretKeyRef` or `fileKeyRef`")
    elif variable.get("value"):
        causes.invalid(path, "", "may not be specified when `value` is not empty")
    elif len(given) > 1:
        causes.invalid(path, "", MANY_SOURCES)


def mounts(container: Obj, volumes: set[str], path: str, causes: Causes) -> None:
    taken: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts", ())):
        at, name, target = f"{path}.volumeMounts[{index}]", mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            causes.required(f"{at}.name")
        elif name not in volumes:
            causes.not_found(f"{at}.name", name)
        if not target:
            causes.required(f"{at}.mountPath")
        elif target in taken:
            causes.invalid(f"{at}.mountPath", target, "must be unique")
        taken.add(target)
        for field in ("subPath", "subPathExpr"):
            if mount.get(field):
                local_path(mount[field], f"{at}.{field}", causes)
        if mount.get("subPath") and mount.get("subPathExpr"):
            causes.invalid(f"{at}.subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive")
        propagation = mount.get("mountPropagation")
        if propagation is not None and propagation not in PROPAGATIONS:
            causes.unsupported(f"{at}.mountPropagation", propagation, PROPAGATIONS)
        if propagation == "Bidirectional" and not container.get("securityContext", {}).get("privileged"):
            causes.forbidden(f"{at}.mountPropagation",
                             "Bidirectional mount propagation is available only to privileged containers")
    for index, device in enumerate(container.get("volumeDevices", ())):
        at = f"{path}.volumeDevices[{index}]"
        if not device.get("name"):
            causes.required(f"{at}.name")
        elif device["name"] not in volumes:
            causes.not_found(f"{at}.name", device["name"])
        if not device.get("devicePath"):
            causes.required(f"{at}.devicePath")


def probe(given: Obj, path: str, causes: Causes, *, readiness: bool) -> None:
    handler(given, HANDLERS, path, causes)
    causes.non_negative(given, path, "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
                        "failureThreshold")
    grace = given.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        causes.invalid(f"{path}.terminationGracePeriodSeconds", grace, POSITIVE)
    elif grace is not None and readiness:
        causes.invalid(f"{path}.terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")
    if not readiness and given.get("successThreshold", 1) != 1:
        causes.invalid(f"{path}.successThreshold", given["successThreshold"], ONE_PROBE)


def lifecycle(hooks: Obj, grace: int, path: str, causes: Causes) -> None:
    for hook in ("postStart", "preStop"):
        if hook in hooks:
            handler(hooks[hook], HOOK_HANDLERS, f"{path}.{hook}", causes)
            if "sleep" in hooks[hook] and not 0 <= (seconds := hooks[hook]["sleep"].get("seconds", 0)) <= grace:
                causes.invalid(f"{path}.{hook}.sleep", seconds,
                               f"must be non-negative and less than terminationGracePeriodSeconds ({grace})")


def handler(given: Obj, kinds: Iterable[str], path: str, causes: Causes) -> None:
    """What a probe or a hook does: one thing."""
    found = [kind for kind in kinds if kind in given]
    for extra in found[1:]:
        causes.forbidden(f"{path}.{extra}", "may not specify more than 1 handler type")
    if not found:
        causes.required(path, "must specify a handler type")
        return
    action, at = given[found[0]], f"{path}.{found[0]}"
    match found[0]:
        case "exec":
            if not action.get("command"):
                causes.required(f"{at}.command")
        case "httpGet":
            if not action.get("path"):
                causes.required(f"{at}.path")
            port_or_name(action.get("port", 0), f"{at}.port", causes)
            causes.one_of(action, at, "scheme", ("HTTP", "HTTPS"))
            for index, header in enumerate(action.get("httpHeaders", ())):
                causes.each_invalid(f"{at}.httpHeaders[{index}]", header.get("name", ""),
                                    names.http_header(header.get("name", "")))
        case "tcpSocket":
            port_or_name(action.get("port", 0), f"{at}.port", causes)
        case "grpc":
            causes.each_invalid(f"{at}.port", action.get("port", 0), names.port_number(action.get("port", 0)))


def resources(given: Obj, path: str, causes: Causes) -> None:
    limits, requests = given.get("limits", {}), given.get("requests", {})
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, value in amounts.items():
            amount(name, value, f"{path}.{field}", causes)
    for name, value in requests.items():
        limit = limits.get(name)
        if limit is not None and over(name, value, limit):
            causes.invalid(f"{path}.requests", value, f"must be {'less than or ' if overcommitted(name) else ''}"
                           f"equal to {name} limit of {limit}")
        elif limit is None and not overcommitted(name):
            causes.required(f"{path}.limits", "Limit must be set for non overcommitable resources")
    everything = set(limits) | set(requests)
    if any(name.startswith("hugepages-") for name in everything) and not everything & {"cpu", "memory"}:
        causes.forbidden(path, "HugePages require cpu or memory")


def over(name: str, value: str, limit: str) -> bool:
    asked, most = quantity.parse(value), quantity.parse(limit)
    return asked > most if overcommitted(name) else asked != most


def overcommitted(name: str) -> bool:
    """Whether more of it may be promised than there is: what Kubernetes itself defines, but for huge pages."""
    return ("/" not in name or name.partition("/")[0].endswith("kubernetes.io")) and not name.startswith("hugepages-")


def amount(name: str, value: Any, path: str, causes: Causes) -> None:
    """One entry of a resource list."""
    at = f"{path}[{name}]"
    causes.each_invalid(path, name, names.qualified_name(name))
    if "/" not in name and name not in STANDARD and not name.startswith("hugepages-"):
        causes.invalid(path, name, "must be a standard resource type or fully qualified")
        causes.invalid(path, name, "must be a standard resource for containers")
    number = quantity.parse(value)
    if number < 0:
        causes.invalid(at, value, NON_NEGATIVE)
    if not overcommitted(name) and number.denominator != 1:
        causes.invalid(at, value, "must be an integer")
