"""A container's environment: from its spec, ConfigMaps, Secrets, the pod's own fields, and the namespace's services.

Objects are handed in, so that this is pure: `sources` says which are needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from timonier.api.types import core_v1
from timonier.node.kubelet import fields
from timonier.node.kubelet.expansion import expand

T = TypeVar("T")



class ConfigError(Exception):
    """The container cannot be made from its spec; the message is what the user sees (CreateContainerConfigError)."""


@dataclass(frozen=True)
class Objects:
    """ConfigMaps and Secrets of one namespace by name; None for one that does not exist."""

    config_maps: Mapping[str, core_v1.ConfigMap | None] = field(default_factory=dict)
    secrets: Mapping[str, core_v1.Secret | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What an environment may refer to besides ConfigMaps and Secrets."""

    addresses: fields.Addresses = fields.NOWHERE
    allocatable: Mapping[str, str] = field(default_factory=dict)
    services: tuple[core_v1.Service, ...] = ()
    """Services of the pod's namespace, and `default/kubernetes`."""


def sources(container: core_v1.Container) -> tuple[set[str], set[str]]:
    """Names of the ConfigMaps and of the Secrets that a container's environment is made from."""
    config_maps = {one.configMapRef.name for one in container.envFrom if one.configMapRef}
    secrets = {one.secretRef.name for one in container.envFrom if one.secretRef}
    for variable in container.env:
        if variable.valueFrom and variable.valueFrom.configMapKeyRef:
            config_maps.add(variable.valueFrom.configMapKeyRef.name)
        if variable.valueFrom and variable.valueFrom.secretKeyRef:
            secrets.add(variable.valueFrom.secretKeyRef.name)
    return config_maps, secrets


def environment(pod: core_v1.Pod, container: core_v1.Container, objects: Objects, facts: Facts) -> dict[str, str]:
    """Every variable; later sources win: services, then envFrom, then env. Raises ConfigError."""
    services = dict(service_variables(pod, facts.services))
    result: dict[str, str] = {}
    for source in container.envFrom:
        result |= from_source(pod, source, objects)
    for variable in container.env:
        if variable.value or variable.valueFrom is None:
            result[variable.name] = expand(variable.value, result, services)
            continue
        value = from_reference(pod, container, variable.valueFrom, objects, facts)
        if value is not None:
            result[variable.name] = value
    return {**services, **result}


def from_source(pod: core_v1.Pod, source: core_v1.EnvFromSource, objects: Objects) -> dict[str, str]:
    if source.configMapRef:
        config_map = wanted(objects.config_maps, "configmap", source.configMapRef.name, source.configMapRef.optional)
        data = dict(config_map.data) if config_map else {}
    elif source.secretRef:
        secret = wanted(objects.secrets, "secret", source.secretRef.name, source.secretRef.optional)
        data = {key: value.decode(errors="surrogateescape") for key, value in secret.data.items()} if secret else {}
    else:
        data = {}
    return {source.prefix + key: value for key, value in sorted(data.items()) if "=" not in key}


def from_reference(pod: core_v1.Pod, container: core_v1.Container, source: core_v1.EnvVarSource, objects: Objects,
                   facts: Facts) -> str | None:
    """The value that `valueFrom` names; None where it is optional and absent."""
    try:
        if source.fieldRef:
            return fields.field(pod, source.fieldRef.fieldPath, facts.addresses)
        if source.resourceFieldRef:
            return fields.resource(pod, source.resourceFieldRef, container.name, facts.allocatable)
    except fields.UnsupportedField as error:
        raise ConfigError(str(error)) from error
    namespace = pod.metadata.namespace
    if ref := source.configMapKeyRef:
        config_map = wanted(objects.config_maps, "configmap", ref.name, ref.optional)
        if config_map is None or (ref.key not in config_map.data and ref.optional):
            return None
        if ref.key not in config_map.data:
            raise ConfigError(f"couldn't find key {ref.key} in ConfigMap {namespace}/{ref.name}")
        return config_map.data[ref.key]
    if ref_ := source.secretKeyRef:
        secret = wanted(objects.secrets, "secret", ref_.name, ref_.optional)
        if secret is None or (ref_.key not in secret.data and ref_.optional):
            return None
        if ref_.key not in secret.data:
            raise ConfigError(f"couldn't find key {ref_.key} in Secret {namespace}/{ref_.name}")
        return secret.data[ref_.key].decode(errors="surrogateescape")
    raise ConfigError("environment variable source is not supported by this node: fileKeyRef" if source.fileKeyRef
                      else "environment variable has no source")


def wanted(objects: Mapping[str, T | None], kind: str, name: str, optional: bool | None) -> T | None:
    found = objects.get(name)
    if found is None and not optional:
        raise ConfigError(f'{kind} "{name}" not found')
    return found


def service_variables(pod: core_v1.Pod, services: Iterable[core_v1.Service]) -> Iterator[tuple[str, str]]:
    """`WEB_SERVICE_HOST`, `WEB_PORT_80_TCP`, … for each service with an address; the API server's always."""
    for service in sorted(services, key=lambda s: (s.metadata.namespace, s.metadata.name)):
        meta = service.metadata
        of_server = (meta.namespace, meta.name) == ("default", "kubernetes")
        linked = pod.spec.enableServiceLinks is not False and meta.namespace == pod.metadata.namespace
        if service.spec.clusterIP not in ("", "None") and service.spec.ports and (of_server or linked):
            yield from variables_of(service)


def variables_of(service: core_v1.Service) -> Iterator[tuple[str, str]]:
    prefix, address, ports = env_name(service.metadata.name), service.spec.clusterIP, service.spec.ports
    host = f"[{address}]" if ":" in address else address
    yield f"{prefix}_SERVICE_HOST", address
    yield f"{prefix}_SERVICE_PORT", str(ports[0].port)
    for port in ports:
        if port.name:
            yield f"{prefix}_SERVICE_PORT_{env_name(port.name)}", str(port.port)
    first = (ports[0].protocol or "TCP").lower()
    yield f"{prefix}_PORT", f"{first}://{host}:{ports[0].port}"
    for port in ports:
        protocol = port.protocol or "TCP"
        stem = f"{prefix}_PORT_{port.port}_{protocol.upper()}"
        yield stem, f"{protocol.lower()}://{host}:{port.port}"
        yield f"{stem}_PROTO", protocol.lower()
        yield f"{stem}_PORT", str(port.port)
        yield f"{stem}_ADDR", address


def env_name(name: str) -> str:
    return name.upper().replace("-", "_")
