"""Configuration and identity: ConfigMap, Secret, ServiceAccount, Namespace, quotas and limits."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from timonier.api import names, quantity
from timonier.api.validation.causes import NON_NEGATIVE, Causes, Obj

LARGEST = 1024 * 1024
NOWHERE = "[]"
"""The path of what concerns the object as a whole, as Kubernetes writes it."""
REDACTED = "<secret contents redacted>"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
REQUIRED_KEYS = {"kubernetes.io/dockercfg": ".dockercfg", "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
                 "kubernetes.io/ssh-auth": "ssh-privatekey"}
LIMIT_TYPES = ("Container", "PersistentVolumeClaim", "Pod")


def config_map(obj: Obj, causes: Causes) -> None:
    data, binary = obj.get("data", {}), obj.get("binaryData", {})
    for key in data:
        causes.each_invalid(f"data[{key}]", key, names.config_key(key))
        if key in binary:
            causes.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    for key in binary:
        causes.each_invalid(f"binaryData[{key}]", key, names.config_key(key))
    size = sum(len(text.encode(errors="surrogatepass")) for text in data.values()) + decoded_size(binary)
    if size > LARGEST:
        causes.too_long(NOWHERE, LARGEST)


def decoded_size(values: Mapping[str, str]) -> int:
    """How many bytes are behind base64, without decoding it."""
    return sum(len(text) // 4 * 3 - text[-2:].count("=") for text in values.values())


def config_map_update(obj: Obj, old: Obj, causes: Causes) -> None:
    frozen(obj, old, ("data", "binaryData"), causes)


def frozen(obj: Obj, old: Obj, fields: tuple[str, ...], causes: Causes) -> None:
    """Once `immutable`, always so, and with it the data."""
    if not old.get("immutable"):
        return
    for field in ("immutable", *fields):
        if (obj.get(field) or None) != (old.get(field) or None):
            causes.forbidden(field, "field is immutable when `immutable` is set")


def secret(obj: Obj, causes: Causes) -> None:
    data, kind = obj.get("data", {}), obj.get("type", "")
    for key in data:
        causes.each_invalid(f"data[{key}]", key, names.config_key(key))
    if decoded_size(data) > LARGEST:
        causes.too_long("data", LARGEST)
    match kind:
        case "kubernetes.io/service-account-token":
            if not obj.get("metadata", {}).get("annotations", {}).get(ACCOUNT_NAME):
                causes.required(f"metadata.annotations[{ACCOUNT_NAME}]")
        case "kubernetes.io/basic-auth":
            if "username" not in data and "password" not in data:
                causes.required("data[username]")
                causes.required("data[password]")
        case "kubernetes.io/tls":
            for key in ("tls.crt", "tls.key"):
                if key not in data:
                    causes.required(f"data[{key}]")
        case _ if kind in REQUIRED_KEYS:
            key = REQUIRED_KEYS[kind]
            if not data.get(key):
                causes.required(f"data[{key}]")
            elif kind != "kubernetes.io/ssh-auth" and (wrong := wrong_json(data[key])):
                causes.invalid(f"data[{key}]", REDACTED, wrong)


def wrong_json(encoded: str) -> str:
    try:
        json.loads(base64.b64decode(encoded))
    except (ValueError, RecursionError):
        return "invalid character in JSON"
    return ""


def secret_update(obj: Obj, old: Obj, causes: Causes) -> None:
    causes.immutable(obj, old, "", "type")
    frozen(obj, old, ("data",), causes)


def service_account(obj: Obj, causes: Causes) -> None:
    for field in ("secrets", "imagePullSecrets"):
        for index, reference in enumerate(obj.get(field, ())):
            if name := reference.get("name"):
                causes.each_invalid(f"{field}[{index}].name", name, names.dns_subdomain(name))


def namespace(obj: Obj, causes: Causes) -> None:
    for finalizer in obj.get("spec", {}).get("finalizers", ()):
        path = "spec.finalizers"
        causes.each_invalid(path, finalizer, names.qualified_name(finalizer))
        if "/" not in finalizer and finalizer not in ("kubernetes", "orphan", "foregroundDeletion"):
            causes.invalid(path, finalizer,
                           "name is neither a standard finalizer name nor is it fully qualified")


def resource_quota(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    for name, value in spec.get("hard", {}).items():
        path = f"spec.hard[{name}]"
        causes.each_invalid(path, name, names.qualified_name(name))
        amount(name, value, path, causes)
    for scope in spec.get("scopes", ()):
        if scope not in QUOTA_SCOPES:
            causes.invalid("spec.scopes", scope, "unsupported scope")


QUOTA_SCOPES = ("Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass",
                "CrossNamespacePodAffinity", "VolumeAttributesClass")
COUNTED = ("pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps",
           "persistentvolumeclaims", "services.nodeports", "services.loadbalancers")


def amount(name: str, value: str, path: str, causes: Causes) -> None:
    number = quantity.parse(value)
    if number < 0:
        causes.invalid(path, value, NON_NEGATIVE)
    if (name in COUNTED or name.startswith("count/")) and number.denominator != 1:
        causes.invalid(path, value, "must be an integer")


def limit_range(obj: Obj, causes: Causes) -> None:
    taken: set[str] = set()
    for index, item in enumerate(obj.get("spec", {}).get("limits", ())):
        path, kind = f"spec.limits[{index}]", item.get("type", "")
        if kind in taken:
            causes.duplicate(f"{path}.type", kind)
        taken.add(kind)
        if kind not in LIMIT_TYPES and names.qualified_name(kind):
            causes.each_invalid(f"{path}.type", kind, names.qualified_name(kind))
        elif kind not in LIMIT_TYPES and "/" not in kind:
            causes.invalid(f"{path}.type", kind, "must be a standard limit type or fully qualified")
        if kind == "Pod":
            for field in ("default", "defaultRequest"):
                if item.get(field):
                    causes.forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")
        if kind == "PersistentVolumeClaim" and "storage" not in item.get("min", {}) | item.get("max", {}):
            causes.required(path, "either minimum or maximum storage value is required, but neither was provided")
        ordered(item, path, causes)


def ordered(item: Obj, path: str, causes: Causes) -> None:
    """min <= default request <= default <= max, as far as they are given."""
    ladder = (("min", "min"), ("defaultRequest", "default request"), ("default", "default"), ("max", "max"))
    for name in dict.fromkeys(key for field, _ in ladder for key in item.get(field, ())):
        given = [(field, word, item[field][name]) for field, word in ladder if name in item.get(field, ())]
        for at, (field, word, value) in enumerate(given):
            for _, upper_word, upper in given[at + 1:]:
                if quantity.parse(value) > quantity.parse(upper):
                    causes.invalid(f"{path}.{field}[{name}]", value,
                                   f"{word} value {value} is greater than {upper_word} value {upper}")
