"""Where the environment of a container comes from, and the fields of the pod that can be shown in it."""

from __future__ import annotations

import re
from collections.abc import Collection

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.paths import plain_path

ENV_FIELDS = ("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
              "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs")
SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
MANY_SOURCES = "may not have more than one field specified at a time"
CONVERTIBLE = frozenset({
    "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
    "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName", "spec.hostNetwork", "status.phase",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"})
SUBSCRIPT = re.compile(r"(.*)\['(.*)'\]")
RESOURCES = tuple(f"{side}.{name}" for side in ("limits", "requests")
                  for name in ("cpu", "ephemeral-storage", "memory"))
HUGE = ("limits.hugepages-", "requests.hugepages-")
CPU_DIVISORS = ("0", "1m", "1")
MEMORY_DIVISORS = ("0", "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
DIVIDED = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "local ephemeral storage"}


def environment(container: Obj, path: str, causes: Causes) -> None:
    for index, variable in enumerate(container.get("env", ())):
        name = variable.get("name")
        if not name:
            causes.required(f"{path}.env[{index}].name")
        elif wrong := names.env_name(name):
            causes.each_invalid(f"{path}.env[{index}].name", name, wrong)
        if "valueFrom" in variable:
            value_from(variable, f"{path}.env[{index}].valueFrom", causes)
    for index, source in enumerate(container.get("envFrom", ())):
        at = f"{path}.envFrom[{index}]"
        causes.name(source, at, "prefix", names.env_name)
        kinds = [kind for kind in ("configMapRef", "secretRef") if kind in source]
        for kind in kinds:
            causes.required_name(source[kind], f"{at}.{kind}", "name", names.dns_subdomain)
        if len(kinds) != 1:
            causes.invalid(f"{path}.envFrom", "", MANY_SOURCES if kinds else
                           "must specify one of: `configMapRef` or `secretRef`")


def value_from(variable: Obj, path: str, causes: Causes) -> None:
    source = variable["valueFrom"]
    if "fieldRef" in source:
        field_ref(source["fieldRef"], ENV_FIELDS, f"{path}.fieldRef", causes)
    if "resourceFieldRef" in source:
        resource_field_ref(source["resourceFieldRef"], f"{path}.resourceFieldRef", causes, in_volume=False)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if kind in source:
            name = source[kind].get("name", "")
            causes.each_invalid(f"{path}.{kind}.name", name, names.dns_subdomain(name))
            causes.required_name(source[kind], f"{path}.{kind}", "key", names.config_key)
    if "fileKeyRef" in source:
        file_key(source["fileKeyRef"], f"{path}.fileKeyRef", causes)
    given = [kind for kind in SOURCES if kind in source]
    if not given:
        causes.invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
                       "`secretKeyRef` or `fileKeyRef`")
    elif variable.get("value"):
        causes.invalid(path, "", "may not be specified when `value` is not empty")
    elif len(given) > 1:
        causes.invalid(path, "", MANY_SOURCES)


def file_key(given: Obj, path: str, causes: Causes) -> None:
    """A variable out of a file that an init container wrote (KEP-3721)."""
    causes.required_name(given, path, "key", names.env_name)
    causes.required_name(given, path, "volumeName", names.dns_label)
    if not given.get("path"):
        causes.required(f"{path}.path")
    else:
        plain_path(given["path"], f"{path}.path", causes)


def field_ref(given: Obj, supported: Collection[str], path: str, causes: Causes) -> None:
    """A field of the pod, for an environment variable or a file."""
    field = given.get("fieldPath", "")
    if not given.get("apiVersion"):
        causes.required(f"{path}.apiVersion")
    elif not field:
        causes.required(f"{path}.fieldPath")
    elif field in supported:
        return
    elif found := SUBSCRIPT.fullmatch(field):
        subscripted(found[1], found[2], field, path, causes)
    elif field not in CONVERTIBLE:
        causes.invalid(f"{path}.fieldPath", field, f"error converting fieldPath: field label not supported: {field}")
    else:
        causes.unsupported(f"{path}.fieldPath", field, sorted(supported))


def subscripted(field: str, key: str, whole: str, path: str, causes: Causes) -> None:
    """One label or annotation: `metadata.labels['app']`."""
    match field:
        case "metadata.annotations":
            causes.each_invalid(path, key.lower(), names.qualified_name(key.lower()))
        case "metadata.labels":
            causes.each_invalid(path, key, names.qualified_name(key))
        case _:
            causes.invalid(f"{path}.fieldPath", whole,
                           f"error converting fieldPath: field label does not support subscript: {whole}")


def resource_field_ref(given: Obj, path: str, causes: Causes, *, in_volume: bool) -> None:
    """A limit or request of a container, for an environment variable or a file."""
    resource = given.get("resource", "")
    if in_volume and not given.get("containerName"):
        causes.required(f"{path}.containerName")
    elif not resource:
        causes.required(f"{path}.resource")
    elif resource not in RESOURCES and not resource.startswith(HUGE):
        causes.unsupported(f"{path}.resource", resource, RESOURCES)
    name = resource.partition(".")[2]
    if resource not in RESOURCES and not resource.startswith(HUGE):
        return
    if given.get("divisor", "0") not in (CPU_DIVISORS if name == "cpu" else MEMORY_DIVISORS):
        text = "1m and 1" if name == "cpu" else ", ".join(MEMORY_DIVISORS[1:])
        causes.invalid(f"{path}.divisor", resource, f"only divisor's values {text} are supported with the "
                       f"{DIVIDED.get(name, 'hugepages')} resource")
