"""EncryptionConfiguration (apiserver.config.k8s.io/v1): from a file to a scheme, or to all that is wrong with it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from timonier.api import durations
from timonier.api.errors import ApiError
from timonier.apiserver.encryption.ciphers import AesCbc, AesGcm, Cipher, Identity, Keyed, Provider, Secretbox
from timonier.apiserver.encryption.kms import Kms
from timonier.apiserver.encryption.scheme import Entry, Scheme
from timonier.kit.fatal import CannotRun, needed

Object = dict[str, Any]

API_VERSION, KIND = "apiserver.config.k8s.io/v1", "EncryptionConfiguration"
KEYED: dict[str, tuple[Callable[[bytes], Cipher], tuple[int, ...]]] = {
    "aesgcm": (AesGcm, (16, 24, 32)), "aescbc": (AesCbc, (16, 24, 32)), "secretbox": (Secretbox, (32,))}
"""Providers with keys: their ciphers, and the bytes that a key may have."""
PROVIDERS = frozenset({*KEYED, "identity", "kms"})
TIMEOUT = 3.0
KEY_BYTES = 32
KEY_FILE = "key-file"
"""The name of the key that is given as a file of its own."""


def read(file: Path) -> Scheme:
    """The scheme of a configuration file. Raises CannotRun."""
    from timonier.apiserver import yamls

    with needed("cannot read the encryption configuration"):
        text = file.read_bytes()
    try:
        document = yamls.load(text)
    except (ValueError, ApiError) as error:
        raise CannotRun(f"{file}: {error}") from None
    if wrong := list(complaints(document)):
        raise CannotRun(f"{file}: the encryption configuration cannot be used: {'; '.join(wrong)}")
    return Scheme([Entry(tuple(entry["resources"]), tuple(provider(each) for each in entry["providers"]))
                   for entry in document["resources"]])


def of_key(file: Path) -> Scheme:
    """The scheme of a single key: Secrets by AES-GCM; what was written before there was a key is read as it is."""
    with needed("cannot read the encryption key"):
        key = file.read_bytes()
    if len(key) != KEY_BYTES:
        raise CannotRun(f"{file}: an encryption key has {KEY_BYTES} bytes, this file has {len(key)}")
    return with_key(key)


def with_key(key: bytes) -> Scheme:
    return Scheme([Entry(("secrets",), (Keyed("aesgcm", AesGcm, [(KEY_FILE, key)]), Identity()))])


def provider(given: Object) -> Provider:
    [(kind, settings)] = given.items()
    if kind == "identity":
        return Identity()
    if kind == "kms":
        return Kms(settings["name"], settings["endpoint"], seconds(settings.get("timeout", "")))
    make, _ = KEYED[kind]
    return Keyed(kind, make, [(key["name"], base64.b64decode(key["secret"])) for key in settings["keys"]])


def complaints(document: Any) -> Iterator[str]:
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != (API_VERSION, KIND):
        yield f"it must be an {KIND} of {API_VERSION}"
        return
    entries = document.get("resources")
    if not isinstance(entries, list) or not entries:
        yield "resources: Required value: at least one resources is required"
        return
    names: set[str] = set()
    for number, entry in enumerate(entries):
        path = f"resources[{number}]"
        if not isinstance(entry, dict):
            yield f"{path}: must be a map"
            continue
        yield from (f'unknown field "{path}.{name}"' for name in entry.keys() - {"resources", "providers"})
        yield from of_resources(entry.get("resources"), f"{path}.resources")
        providers = entry.get("providers")
        if not isinstance(providers, list) or not providers:
            yield f"{path}.providers: Required value: at least one {path}.providers is required"
            continue
        for place, each in enumerate(providers):
            yield from of_provider(each, f"{path}.providers[{place}]", names)


def of_resources(resources: Any, path: str) -> Iterator[str]:
    if not isinstance(resources, list) or not resources or not all(isinstance(each, str) for each in resources):
        yield f"{path}: Required value: at least one {path} is required"
        return
    for each in resources:
        _, _, group = each.partition(".")
        why = ""
        if each == "*":
            why = "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"
        elif each != each.lower():
            why = "resource name should not contain capital letters"
        elif group == "events.k8s.io":
            why = "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead " \
                  "in the config file"
        elif group == "*" and each != "*.*":
            why = "encrypting the same resource across groups is not supported"
        if why:
            yield f'{path}: Invalid value: "{each}": {why}'
    if len(set(resources)) < len(resources):
        yield f"{path}: Invalid value: the same resource cannot be specified multiple times"
    wild = {each.partition(".")[2] for each in resources if each.startswith("*.")}
    if len(resources) > 1 and ("*" in wild or any(
            each.partition(".")[2] in wild for each in resources if not each.startswith("*."))):
        yield f"{path}: Invalid value: using overlapping resources such as 'secrets' and '*.' in the same resource " \
              "list is not allowed as they will be masked"


def of_provider(given: Any, path: str, names: set[str]) -> Iterator[str]:
    if not isinstance(given, dict) or not given.keys() & PROVIDERS:
        yield f"{path}: Invalid value: provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, " \
              "Secretbox, Identity"
    elif len(given) > 1:
        yield f"{path}: Invalid value: more than one provider specified in a single element, should split into " \
              "different list elements"
    else:
        [(kind, settings)] = given.items()
        if kind == "kms":
            yield from of_kms(settings or {}, f"{path}.kms", names)
        elif kind in KEYED:
            yield from of_keys((settings or {}).get("keys"), f"{path}.{kind}.keys", KEYED[kind][1])


def of_keys(keys: Any, path: str, sizes: tuple[int, ...]) -> Iterator[str]:
    if not isinstance(keys, list) or not keys:
        yield f"{path}: Required value: at least one {path} is required"
        return
    for number, key in enumerate(keys):
        found = key if isinstance(key, dict) else {}
        for name in ("name", "secret"):
            if not found.get(name) or not isinstance(found[name], str):
                yield f"{path}[{number}].{name}: Required value: {name} is a mandatory field for a key"
        try:
            size = len(base64.b64decode(found.get("secret") or "", validate=True))
        except (binascii.Error, TypeError, ValueError):
            yield f"{path}[{number}].secret: Invalid value: REDACTED: secrets must be base64 encoded"
            continue
        if found.get("secret") and size not in sizes:
            yield f"{path}[{number}].secret: Invalid value: REDACTED: secret is not of the expected length, got " \
                  f"{size}, expected one of [{' '.join(map(str, sizes))}]"


def of_kms(settings: Object, path: str, names: set[str]) -> Iterator[str]:
    name, endpoint = str(settings.get("name") or ""), str(settings.get("endpoint") or "")
    if not name:
        yield f"{path}.name: Required value: name is a mandatory field for a provider"
    elif ":" in name:
        yield f'{path}.name: Invalid value: "{name}": invalid KMS provider name {name}, must not contain \':\''
    elif name in names:
        yield f'{path}.name: Invalid value: "{name}": duplicate KMS provider name {name}, names must be unique'
    names.add(name)
    if settings.get("apiVersion") != "v2":
        yield f'{path}.apiVersion: Invalid value: "{settings.get("apiVersion") or "v1"}": this server speaks v2 alone'
    if not endpoint:
        yield f"{path}.endpoint: Required value: endpoint is a mandatory field for a provider"
    elif urlsplit(endpoint).scheme != "unix":
        scheme = urlsplit(endpoint).scheme
        yield f'{path}.endpoint: Invalid value: "{endpoint}": unsupported scheme "{scheme}" for KMS provider, only ' \
              "unix is supported"
    if settings.get("cachesize") is not None:
        yield f"{path}.cachesize: Invalid value: {settings['cachesize']}: cachesize is not supported in v2"
    if settings.get("timeout") and seconds(settings["timeout"]) <= 0:
        yield f'{path}.timeout: Invalid value: "{settings["timeout"]}": timeout should be a positive value'


def seconds(duration: Any) -> float:
    """`3s` or `1m30s` in seconds, 0 where it is no duration; what is not given is three."""
    try:
        return durations.parse(str(duration)) if duration else TIMEOUT
    except ValueError:
        return 0.0
