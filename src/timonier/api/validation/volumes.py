"""Volumes of pods, and the paths in them: nothing may climb out of the place that it was given."""

from __future__ import annotations

import re
from collections.abc import Iterable

from timonier.api import names, quantity
from timonier.api.schema import definition
from timonier.api.validation.causes import Causes, Obj

VOLUME = "io.k8s.api.core.v1.Volume"
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
CONVERTIBLE = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
               "spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName",
               "spec.hostNetwork", "status.phase", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs")
RESOURCES = tuple(f"{side}.{name}" for side in ("limits", "requests")
                  for name in ("cpu", "ephemeral-storage", "memory"))
HOST_PATH_TYPES = ("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")
MODE = "must be a number between 0 and 0777 (octal), both inclusive"
SUBSCRIPT = re.compile(r"metadata\.(annotations|labels)\['(.*)'\]")
CPU_DIVISORS = ("0", "1m", "1")
MEMORY_DIVISORS = ("0", "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
SHORTEST_TOKEN, LONGEST_TOKEN = 600, 2**32


def volumes(listed: Iterable[Obj], path: str, causes: Causes) -> set[str]:
    """Check a pod's volumes; returns the names that containers can mount."""
    taken: set[str] = set()
    for index, volume in enumerate(listed):
        at, name = f"{path}[{index}]", volume.get("name", "")
        source(volume, at, causes)
        if not name:
            causes.required(f"{at}.name")
        elif wrong := names.dns_label(name):
            causes.each_invalid(f"{at}.name", name, wrong)
        elif name in taken:
            causes.duplicate(f"{at}.name", name)
        taken.add(name)
    return taken


def source(volume: Obj, path: str, causes: Causes) -> None:
    kinds = [field for field in volume if field != "name"]
    for extra in kinds[1:]:
        causes.forbidden(f"{path}.{extra}", "may not specify more than 1 volume type")
    if not kinds:
        causes.required(path, "must specify a volume type")
        return
    kind = kinds[0]
    given, at = volume[kind], f"{path}.{kind}"
    match kind:
        case "emptyDir":
            if quantity.parse(given.get("sizeLimit", "0")) < 0:
                causes.forbidden(f"{at}.sizeLimit", "SizeLimit field must be a valid resource quantity")
        case "hostPath":
            host_path(given, at, causes)
        case "secret" | "configMap":
            files(given, "secretName" if kind == "secret" else "name", at, causes)
        case "downwardAPI":
            mode(given, "defaultMode", at, causes)
            downward(given.get("items", ()), f"{at}.items", causes)
        case "projected":
            projected(given, at, causes)
        case "persistentVolumeClaim":
            required(given, at, causes, "claimName")
        case "nfs":
            required(given, at, causes, "server", "path")
            if given.get("path") and not given["path"].startswith("/"):
                causes.invalid(f"{at}.path", given["path"], "must be an absolute path")
        case "ephemeral":
            required(given, at, causes, "volumeClaimTemplate")
        case "image":
            required(given, at, causes, "reference")
        case _:
            required(given, at, causes, *definition(definition(VOLUME)["properties"][kind]["$ref"]).get("required", ()))


def required(given: Obj, path: str, causes: Causes, *fields: str) -> None:
    for field in fields:
        if not given.get(field):
            causes.required(f"{path}.{field}")


def host_path(given: Obj, path: str, causes: Causes) -> None:
    if not given.get("path"):
        causes.required(f"{path}.path")
    elif ".." in given["path"].split("/"):
        causes.invalid(f"{path}.path", given["path"], "must not contain '..'")
    if given.get("type", "") not in HOST_PATH_TYPES:
        causes.unsupported(f"{path}.type", given["type"], sorted(HOST_PATH_TYPES))


def files(given: Obj, name: str, path: str, causes: Causes) -> None:
    """The keys of a Secret or ConfigMap as files."""
    required(given, path, causes, name)
    mode(given, "defaultMode", path, causes)
    for index, item in enumerate(given.get("items", ())):
        key_to_path(item, f"{path}.items[{index}]", causes)


def key_to_path(item: Obj, path: str, causes: Causes) -> None:
    required(item, path, causes, "key", "path")
    if item.get("path"):
        plain_path(item["path"], f"{path}.path", causes)
    mode(item, "mode", path, causes)


def mode(given: Obj, field: str, path: str, causes: Causes) -> None:
    value = given.get(field)
    if value is not None and not 0 <= value <= 0o777:
        causes.invalid(f"{path}.{field}", value, MODE)


def downward(items: Iterable[Obj], path: str, causes: Causes) -> None:
    for index, item in enumerate(items):
        at = f"{path}[{index}]"
        required(item, at, causes, "path")
        if item.get("path"):
            plain_path(item["path"], f"{at}.path", causes)
        if "fieldRef" in item:
            field_ref(item["fieldRef"], VOLUME_FIELDS, f"{at}.fieldRef", causes)
            if "resourceFieldRef" in item:
                causes.invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
        elif "resourceFieldRef" in item:
            resource_field_ref(item["resourceFieldRef"], f"{at}.resourceFieldRef", causes, in_volume=True)
        else:
            causes.required(at, "one of fieldRef and resourceFieldRef is required")
        mode(item, "mode", at, causes)


def projected(given: Obj, path: str, causes: Causes) -> None:
    mode(given, "defaultMode", path, causes)
    taken: set[str] = set()
    for index, part in enumerate(given.get("sources", ())):
        at = f"{path}.sources[{index}]"
        for extra in list(part)[1:]:
            causes.forbidden(f"{at}.{extra}", "may not specify more than 1 volume type")
        if not part:
            causes.required(at, "must specify a volume type")
            continue
        kind = next(iter(part))
        below, inner = part[kind], f"{at}.{kind}"
        paths: list[str] = []
        match kind:
            case "secret" | "configMap":
                required(below, inner, causes, "name")
                for place, item in enumerate(below.get("items", ())):
                    key_to_path(item, f"{inner}.items[{place}]", causes)
                paths = [item.get("path", "") for item in below.get("items", ())]
            case "downwardAPI":
                downward(below.get("items", ()), f"{inner}.items", causes)
                paths = [item.get("path", "") for item in below.get("items", ())]
            case "serviceAccountToken":
                token(below, inner, causes)
                paths = [below.get("path", "")]
        for each in paths:
            if each and each in taken:
                causes.invalid(f"{inner}.path" if kind == "serviceAccountToken" else inner, each,
                               "conflicting duplicate paths")
            taken.add(each)


def token(given: Obj, path: str, causes: Causes) -> None:
    seconds = given.get("expirationSeconds", 3600)
    if seconds < SHORTEST_TOKEN:
        causes.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    elif seconds > LONGEST_TOKEN:
        causes.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    required(given, path, causes, "path")
    if given.get("path"):
        plain_path(given["path"], f"{path}.path", causes)


def local_path(value: str, path: str, causes: Causes) -> None:
    """A path below the volume's root."""
    if value.startswith("/"):
        causes.invalid(path, value, "must be a relative path")
    if ".." in value.split("/"):
        causes.invalid(path, value, "must not contain '..'")


def plain_path(value: str, path: str, causes: Causes) -> None:
    """A path of a file that we write: `..data` and its like are ours."""
    local_path(value, path, causes)
    if value.startswith("..") and not value.startswith("../"):
        causes.invalid(path, value, "must not start with '..'")


def field_ref(given: Obj, supported: Iterable[str], path: str, causes: Causes) -> None:
    """A field of the pod, for an environment variable or a file."""
    field = given.get("fieldPath", "")
    if not given.get("apiVersion"):
        causes.required(f"{path}.apiVersion")
    if not field:
        causes.required(f"{path}.fieldPath")
        return
    if found := SUBSCRIPT.fullmatch(field):
        wrong = names.qualified_name(found[2].lower() if found[1] == "annotations" else found[2])
        causes.each_invalid(path, field, wrong)
    elif field not in CONVERTIBLE:
        causes.invalid(f"{path}.fieldPath", field, f"error converting fieldPath: field label not supported: {field}")
    elif field not in supported:
        causes.unsupported(f"{path}.fieldPath", field, sorted(supported))


def resource_field_ref(given: Obj, path: str, causes: Causes, *, in_volume: bool) -> None:
    """A limit or request of a container, for an environment variable or a file."""
    if in_volume and not given.get("containerName"):
        causes.required(f"{path}.containerName")
    resource = given.get("resource", "")
    if not resource:
        causes.required(f"{path}.resource")
    elif resource not in RESOURCES and not resource.partition(".")[2].startswith("hugepages-"):
        causes.unsupported(f"{path}.resource", resource, RESOURCES)
    divisor = given.get("divisor", "0")
    allowed = CPU_DIVISORS if resource.endswith(".cpu") else MEMORY_DIVISORS
    if divisor not in allowed:
        what = "cpu" if allowed is CPU_DIVISORS else "memory"
        text = "1m and 1" if what == "cpu" else ", ".join(MEMORY_DIVISORS[1:])
        causes.invalid(f"{path}.divisor", divisor,
                       f"only divisor's values {text} are supported with the {what} resource")
