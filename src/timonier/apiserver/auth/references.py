"""What pods and volumes refer to: every object that a node needs in order to run the one, or to mount the other.

The Node authoriser lets nodes read these; the NodeRestriction plugin keeps nodes from making pods that refer to any.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from timonier.apiserver.request import Object

MIRROR = "kubernetes.io/config.mirror"
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
FOR_THE_CONTROLLER = "controller"
"""How the secret references of CSI volumes begin that no node uses."""


class Reference(NamedTuple):
    """An object that something refers to, by its resource: `secrets`, `configmaps`, `persistentvolumeclaims`, …"""

    resource: str
    namespace: str
    name: str


def of_pod(pod: Object) -> Iterator[Reference]:
    """Every object that a pod needs in order to run."""
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    if account := spec.get("serviceAccountName"):
        yield Reference("serviceaccounts", namespace, account)
    for secret in spec.get("imagePullSecrets") or ():
        yield Reference("secrets", namespace, secret.get("name", ""))
    for containers in CONTAINERS:
        for container in spec.get(containers) or ():
            yield from of_container(container, namespace)
    for volume in spec.get("volumes") or ():
        yield from of_volume(volume, namespace, pod["metadata"]["name"])
    yield from (Reference("resourceclaims", namespace, name) for name in claims_of(pod))


def of_container(container: Object, namespace: str) -> Iterator[Reference]:
    sources = [entry.get("valueFrom") or {} for entry in container.get("env") or ()]
    for source in (*sources, *(container.get("envFrom") or ())):
        for part, resource in (("secretKeyRef", "secrets"), ("secretRef", "secrets"),
                               ("configMapKeyRef", "configmaps"), ("configMapRef", "configmaps")):
            if found := source.get(part):
                yield Reference(resource, namespace, found.get("name", ""))


def of_volume(volume: Object, namespace: str, pod: str) -> Iterator[Reference]:
    for part, source in volume.items():
        if not isinstance(source, dict):
            continue
        if part == "persistentVolumeClaim":
            yield Reference("persistentvolumeclaims", namespace, source.get("claimName", ""))
        elif part == "ephemeral":
            yield Reference("persistentvolumeclaims", namespace, f"{pod}-{volume['name']}")
        elif part == "configMap":
            yield Reference("configmaps", namespace, source.get("name", ""))
        elif part == "projected":
            for projection in source.get("sources") or ():
                for kind, resource in (("secret", "secrets"), ("configMap", "configmaps")):
                    if found := projection.get(kind):
                        yield Reference(resource, namespace, found.get("name", ""))
        else:
            yield from (Reference("secrets", namespace, name) for name in secret_names(source))


def secret_names(source: Object) -> Iterator[str]:
    """The secrets of a volume source: as `secretName`, or referred to by drivers."""
    if name := source.get("secretName"):
        yield name
    for part in ("secretRef", "nodePublishSecretRef"):
        if name := (source.get(part) or {}).get("name"):
            yield name


def claims_of(pod: Object) -> Iterator[str]:
    """The resource claims of a pod: named by it, or made for it, which its status tells."""
    status = pod.get("status") or {}
    made = {each.get("name"): each.get("resourceClaimName") for each in status.get("resourceClaimStatuses") or ()}
    for claim in pod["spec"].get("resourceClaims") or ():
        if name := claim.get("resourceClaimName") or made.get(claim.get("name")):
            yield name
    if name := (status.get("extendedResourceClaimStatus") or {}).get("resourceClaimName"):
        yield name


def of_persistent_volume(volume: Object) -> Iterator[Reference]:
    """The secrets that a node needs in order to mount a volume; without a namespace of their own, of its claim's."""
    spec = volume["spec"]
    claimed = (spec.get("claimRef") or {}).get("namespace", "")
    for source in spec.values():
        if not isinstance(source, dict):
            continue
        if name := source.get("secretName"):
            yield Reference("secrets", source.get("secretNamespace") or claimed, name)
        for part, found in source.items():
            if part.lower().endswith("secretref") and isinstance(found, dict) and found.get("name") \
                    and not part.startswith(FOR_THE_CONTROLLER):
                yield Reference("secrets", found.get("namespace") or claimed, found["name"])
