"""ServiceAccount: every pod acts as some account, and finds its token where client libraries look for it.

The token comes by a projected volume (KEP-1205): the kubelet asks for tokens bound to the pod, and renews them. The
annotation `kubernetes.io/enforce-mountable-secrets`, deprecated since v1.32, is not heeded.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from timonier.api.errors import NotFound
from timonier.api.kinds import BY_ID
from timonier.apiserver.admission.contract import CREATE, Plugin, Registry, is_pod, refuse
from timonier.apiserver.metadata import ALPHABET, SUFFIX
from timonier.apiserver.request import Attributes, Object
from timonier.kit.clock import Clock, SystemClock

ACCOUNT = BY_ID["v1/ServiceAccount"]
DEFAULT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME = "kube-api-access-"
TOKEN_SECONDS = 3607
"""Lifetime that the kubelet asks for: an hour, and a mark by which such tokens are told from others."""
MIRROR = "kubernetes.io/config.mirror"
WAIT_FOR_DEFAULT, WAIT_STEP = 10, 0.1
"""A new namespace gets its default account from a controller; a pod created at once waits this often, this long."""


@dataclass(frozen=True)
class ServiceAccount(Plugin):
    registry: Registry
    clock: Clock = field(default_factory=SystemClock)

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if obj is None or not is_pod(attributes, CREATE) or is_mirror(obj):
            return
        spec = obj["spec"]
        name = spec.get("serviceAccountName") or DEFAULT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self.find(attributes, obj, name)
        if wants_token(spec, account):
            mount_token(spec, f"{attributes.namespace}/{name}")
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(secret) for secret in account["imagePullSecrets"]]

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if obj is None or not is_pod(attributes, CREATE):
            return
        spec = obj["spec"]
        if is_mirror(obj):
            check_mirror(attributes, obj)
        elif not spec.get("serviceAccountName"):
            raise refuse(attributes, "no service account specified for pod", obj)

    async def find(self, attributes: Attributes, pod: Object, name: str) -> Object:
        """The account; the default one is waited for, shortly. Raises Forbidden."""
        for _ in range(WAIT_FOR_DEFAULT if name == DEFAULT else 1):
            found = self.registry.peek(ACCOUNT, attributes.namespace, name)
            if found is None:
                try:
                    found = await self.registry.get(ACCOUNT, attributes.namespace, name)
                except NotFound:
                    if name == DEFAULT:
                        await self.clock.sleep(WAIT_STEP)
                    continue
            return found
        raise refuse(attributes, f"error looking up service account {attributes.namespace}/{name}: "
                                 f'serviceaccount "{name}" not found', pod)


def is_mirror(pod: Object) -> bool:
    """Whether a kubelet shows one of its static pods by this object."""
    return MIRROR in (pod["metadata"].get("annotations") or {})


def check_mirror(attributes: Attributes, pod: Object) -> None:
    spec = pod["spec"]
    if spec.get("serviceAccountName"):
        raise refuse(attributes, "a mirror pod may not reference service accounts", pod)
    for volume in spec.get("volumes") or ():
        if volume.get("secret"):
            raise refuse(attributes, "a mirror pod may not reference secrets", pod)
        if any(source.get("serviceAccountToken") for source in (volume.get("projected") or {}).get("sources") or ()):
            raise refuse(attributes, "a mirror pod may not use ServiceAccountToken volume projections", pod)


def wants_token(spec: Object, account: Object) -> bool:
    """The pod's own word counts; where it says nothing, the account's; where that says nothing, yes."""
    for source in (spec, account):
        wish = source.get("automountServiceAccountToken")
        if wish is not None:
            return bool(wish)
    return True


def mount_token(spec: Object, account: str) -> None:
    """Mount the token of an account in every container that has nothing at that path, by one volume."""
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    without = [container for container in containers
               if all(mount.get("mountPath") != MOUNT_PATH for mount in container.get("volumeMounts") or ())]
    if not without:
        return
    volumes = spec.setdefault("volumes", [])
    name = next((volume["name"] for volume in volumes if volume["name"].startswith(VOLUME)), "")
    if not name:
        name = volume_name(account)
        volumes.append(token_volume(name))
    for container in without:
        container.setdefault("volumeMounts", []).append(
            {"name": name, "readOnly": True, "mountPath": MOUNT_PATH})


@lru_cache(maxsize=1024)
def volume_name(account: str) -> str:
    """What looks generated is the same for all pods of an account: pods of one template stay alike."""
    return VOLUME + "".join(random.Random(account).choices(ALPHABET, k=SUFFIX))


def token_volume(name: str) -> dict[str, Any]:
    """Token, CA certificate and namespace, as client libraries expect them in one folder."""
    return {"name": name, "projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {
            "apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}]}}
