"""The files of ConfigMap, Secret, downward API and projected volumes. Pure, given the objects.

Source: Kubernetes documentation, "Volumes" and "Projected Volumes".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from timonier.api.types import core_v1
from timonier.node.kubelet import fields
from timonier.node.kubelet.environment import Objects
from timonier.node.kubelet.volumes.atomic import File

DEFAULT_MODE = 0o644
TOKEN_MODE = 0o600


class VolumeError(Exception):
    """A volume cannot be set up; the message is what the FailedMount event says of it."""


@dataclass(frozen=True)
class Inputs:
    """Everything that contents may come from."""

    pod: core_v1.Pod
    objects: Objects
    addresses: fields.Addresses = fields.NOWHERE
    allocatable: Mapping[str, str] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Service account tokens by `token_key`."""


def token_key(source: core_v1.ServiceAccountTokenProjection) -> str:
    return f"{source.audience}\0{source.expirationSeconds or 3600}"


def sources(volume: core_v1.Volume) -> tuple[set[str], set[str]]:
    """Names of the ConfigMaps and Secrets that a volume shows."""
    config_maps = {volume.configMap.name} if volume.configMap else set()
    secrets = {volume.secret.secretName} if volume.secret else set()
    for source in volume.projected.sources if volume.projected else ():
        config_maps |= {source.configMap.name} if source.configMap else set()
        secrets |= {source.secret.name} if source.secret else set()
    return config_maps, secrets


def token_sources(volume: core_v1.Volume) -> list[core_v1.ServiceAccountTokenProjection]:
    return [source.serviceAccountToken for source in (volume.projected.sources if volume.projected else ())
            if source.serviceAccountToken]


def files(volume: core_v1.Volume, inputs: Inputs) -> dict[str, File]:
    """What a volume holds, by path. Raises VolumeError where something that is not optional is missing."""
    if volume.configMap:
        source = volume.configMap
        return of_config_map(inputs, source.name, source.items, source.defaultMode, source.optional)
    if volume.secret:
        secret = volume.secret
        return of_secret(inputs, secret.secretName, secret.items, secret.defaultMode, secret.optional)
    if volume.downwardAPI:
        return of_downward(inputs, volume.downwardAPI.items, volume.downwardAPI.defaultMode)
    merged: dict[str, File] = {}
    for part in volume.projected.sources if volume.projected else ():
        merged |= of_projection(inputs, part, volume.projected.defaultMode if volume.projected else None)
    return merged


def of_projection(inputs: Inputs, part: core_v1.VolumeProjection, mode: int | None) -> dict[str, File]:
    if part.configMap:
        return of_config_map(inputs, part.configMap.name, part.configMap.items, mode, part.configMap.optional)
    if part.secret:
        return of_secret(inputs, part.secret.name, part.secret.items, mode, part.secret.optional)
    if part.downwardAPI:
        return of_downward(inputs, part.downwardAPI.items, mode)
    if part.serviceAccountToken:
        token = inputs.tokens[token_key(part.serviceAccountToken)]
        return {part.serviceAccountToken.path: of_token(inputs.pod, token, mode)}
    raise VolumeError("projected volume source is not supported by this node: clusterTrustBundle or podCertificate")


def of_token(pod: core_v1.Pod, token: str, mode: int | None) -> File:
    """Readable by its group under fsGroup, owned by the user where all containers run as one, for all otherwise."""
    context = pod.spec.securityContext or core_v1.PodSecurityContext()
    if context.fsGroup is not None:
        return File(token.encode(), 0o640)
    users = {container.securityContext.runAsUser if container.securityContext
             and container.securityContext.runAsUser is not None else context.runAsUser
             for container in (*pod.spec.initContainers, *pod.spec.containers)}
    if len(users) == 1 and (user := users.pop()) is not None:
        return File(token.encode(), TOKEN_MODE, user)
    return File(token.encode(), DEFAULT_MODE if mode is None else mode)


def of_config_map(inputs: Inputs, name: str, items: Sequence[core_v1.KeyToPath], mode: int | None,
                  optional: bool | None) -> dict[str, File]:
    found = inputs.objects.config_maps.get(name)
    if found is None and not optional:
        raise VolumeError(f'configmap "{name}" not found')
    data = {**{key: value.encode() for key, value in found.data.items()}, **found.binaryData} if found else {}
    return pick(data, items, mode, optional, "configmap references non-existent config key: {key}")


def of_secret(inputs: Inputs, name: str, items: Sequence[core_v1.KeyToPath], mode: int | None,
              optional: bool | None) -> dict[str, File]:
    found = inputs.objects.secrets.get(name)
    if found is None and not optional:
        raise VolumeError(f'secret "{name}" not found')
    return pick(found.data if found else {}, items, mode, optional,
                "references non-existent secret key: {key}")


def pick(data: Mapping[str, bytes], items: Sequence[core_v1.KeyToPath], mode: int | None, optional: bool | None,
         missing: str) -> dict[str, File]:
    """All keys under their own names, or those of `items` under the names given there."""
    default = DEFAULT_MODE if mode is None else mode
    if not items:
        return {key: File(value, default) for key, value in data.items()}
    picked = {}
    for item in items:
        if item.key in data:
            picked[item.path] = File(data[item.key], default if item.mode is None else item.mode)
        elif not optional:
            raise VolumeError(missing.format(key=item.key))
    return picked


def of_downward(inputs: Inputs, items: Sequence[core_v1.DownwardAPIVolumeFile], mode: int | None) -> dict[str, File]:
    default = DEFAULT_MODE if mode is None else mode
    result = {}
    for item in items:
        try:
            if item.fieldRef:
                text = fields.field(inputs.pod, item.fieldRef.fieldPath, inputs.addresses)
            elif item.resourceFieldRef:
                text = fields.resource(inputs.pod, item.resourceFieldRef, "", inputs.allocatable)
            else:
                raise VolumeError(f"downward API file has no source: {item.path}")
        except fields.UnsupportedField as error:
            raise VolumeError(str(error)) from error
        result[item.path] = File(text.encode(), default if item.mode is None else item.mode)
    return result
