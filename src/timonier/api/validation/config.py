"""Configuration: ConfigMap, Secret, Namespace. How much there may be of anything is in `limits`."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from timonier.api import names
from timonier.api.check import go_value
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.metadata import STANDARD_FINALIZERS

LARGEST = 1024 * 1024
NOWHERE = "[]"
"""The path of what concerns the object as a whole, as Kubernetes writes it."""
REDACTED = "<secret contents redacted>"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
DOCKER_KEYS = {"kubernetes.io/dockercfg": ".dockercfg", "kubernetes.io/dockerconfigjson": ".dockerconfigjson"}


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
        case "kubernetes.io/ssh-auth":
            if not data.get("ssh-privatekey"):
                causes.required("data[ssh-privatekey]")
        case _ if kind in DOCKER_KEYS:
            key = DOCKER_KEYS[kind]
            if key not in data:
                causes.required(f"data[{key}]")
            elif wrong := wrong_json(data[key]):
                causes.invalid(f"data[{key}]", REDACTED, wrong)


def wrong_json(encoded: str) -> str:
    """What is wrong with registry credentials, in the words of Go's JSON decoder: they are an object."""
    raw = base64.b64decode(encoded)
    try:
        value = json.loads(raw)
    except json.JSONDecodeError as error:
        if error.pos >= len(raw):
            return "unexpected end of JSON input"
        return f"invalid character {shown_rune(error.doc[error.pos])} looking for beginning of value"
    except (ValueError, RecursionError):
        return "exceeded max depth"
    return "" if isinstance(value, dict) or value is None else \
        f"json: cannot unmarshal {go_value(value)} into Go value of type map[string]interface {{}}"


def shown_rune(letter: str) -> str:
    return "'\\''" if letter == "'" else f"'{letter}'"


def secret_update(obj: Obj, old: Obj, causes: Causes) -> None:
    causes.immutable(obj, old, "", "type")
    frozen(obj, old, ("data",), causes)


def namespace(obj: Obj, causes: Causes) -> None:
    for finalizer in obj.get("spec", {}).get("finalizers", ()):
        namespace_finalizer(finalizer, "spec.finalizers", causes)


def namespace_finalizer(finalizer: str, path: str, causes: Causes) -> None:
    causes.each_invalid(path, finalizer, names.qualified_name(finalizer))
    if "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
        causes.invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified")


def namespace_finalize(obj: Obj, old: Obj, causes: Causes) -> None:
    for index, finalizer in enumerate(obj.get("spec", {}).get("finalizers", ())):
        namespace_finalizer(finalizer, f"spec.finalizers[{index}]", causes)


def namespace_status(obj: Obj, old: Obj, causes: Causes) -> None:
    """A namespace is Terminating if, and only if, it is being deleted."""
    phase = obj.get("status", {}).get("phase", "")
    deleted = "deletionTimestamp" in obj.get("metadata", {})
    if deleted and phase != "Terminating":
        causes.invalid("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")
    elif not deleted and phase != "Active":
        causes.invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")
