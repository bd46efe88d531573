"""Have the image of a container: pull policies, credentials, back-off, and the events that tell of them.

One thing differs from Kubernetes: what was loaded on the node by hand is not looked for in a registry, not even by the
policy Always, which images without a tag have: `docker build -t app .` and loading `app` is enough to run it.

Source: Kubernetes documentation, "Images".
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from timonier.api.types import core_v1
from timonier.kit.clock import Clock, Seconds
from timonier.node.cri.contract import Auth, ImageStatus, Runtime, RuntimeFailure, SandboxConfig
from timonier.node.cri.references import DOCKER_HUB, InvalidReference, floats, split, tagged
from timonier.node.kubelet import names
from timonier.node.kubelet.api import Api, Tell
from timonier.node.kubelet.backoff import BackOff, go_duration
from timonier.node.kubelet.start_failure import NotStarted

HUB_NAMES = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
SHOWN: Seconds = 2
"""How long a status says ErrImagePull before it says ImagePullBackOff."""


@dataclass
class Images:
    """Pulls images, one image at a time, and waits longer after each failure."""

    runtime: Runtime
    api: Api
    clock: Clock
    tell: Tell
    back_off: BackOff = field(default_factory=BackOff)
    reasons: dict[str, str] = field(default_factory=dict)
    locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def ensure(self, pod: core_v1.Pod, container: core_v1.Container, sandbox: SandboxConfig) -> ImageStatus:
        """The image of a container, pulled if its policy says so. Raises NotStarted."""
        about = Teller(self.tell, pod, container)
        try:
            reference = tagged(container.image)
        except InvalidReference as error:
            message = f'Failed to apply default image tag "{container.image}": couldn\'t parse image name ' \
                      f'"{container.image}": {error}'
            about.warn("InspectFailed", message)
            raise NotStarted("InvalidImageName", message) from error
        try:
            present = await self.runtime.image_status(reference)
        except RuntimeFailure as error:
            message = f'Failed to inspect image "{container.image}": {error}'
            about.warn("InspectFailed", message)
            raise NotStarted("ImageInspectError", message) from error
        policy = container.imagePullPolicy or ("Always" if floats(container.image) else "IfNotPresent")
        if policy == "Never" and present is None:
            message = f'Container image "{container.image}" is not present with pull policy of Never'
            about.warn("ErrImageNeverPull", message)
            raise NotStarted("ErrImageNeverPull", message)
        if present is not None and policy != "Always":
            about.say("Pulled", f'Container image "{container.image}" already present on machine and can be accessed '
                                "by the pod")
            return present
        if present is not None and loaded(present, reference):
            about.say("Pulled", f'Container image "{container.image}" was loaded on this node, so no registry is asked')
            return present
        async with self.locks[reference]:
            return await self._pull(pod, container, reference, sandbox, about)

    async def _pull(self, pod: core_v1.Pod, container: core_v1.Container, reference: str, sandbox: SandboxConfig,
                    about: Teller) -> ImageStatus:
        key = f"{pod.metadata.uid}_{container.image}"
        wait = self._waiting(key)
        if wait > 0:
            message = f'Back-off pulling image "{container.image}"'
            about.say("BackOff", message)
            before = self.reasons.get(key, "")
            raise NotStarted("ImagePullBackOff", f"{message}: {before}" if before else message, wait)
        about.say("Pulling", f'Pulling image "{container.image}"')
        started = self.clock.monotonic()
        try:
            await self._try_credentials(pod, reference, sandbox, about)
            image = await self.runtime.image_status(reference)
        except RuntimeFailure as error:
            self._failed(key, str(error))
            about.warn("Failed", f'Failed to pull image "{container.image}": {error}')
            raise NotStarted("ErrImagePull", str(error), SHOWN) from error
        if image is None:
            self._failed(key, "the image is not there after it was pulled")
            raise NotStarted("ErrImagePull", "the image is not there after it was pulled", SHOWN)
        took = go_duration(self.clock.monotonic() - started)
        about.say("Pulled", f'Successfully pulled image "{container.image}" in {took} ({took} including waiting). '
                            f"Image size: {image.size} bytes.")
        self.back_off.forget(key)
        self.reasons.pop(key, None)
        return image

    async def _try_credentials(self, pod: core_v1.Pod, reference: str, sandbox: SandboxConfig, about: Teller) -> None:
        """Pull with each credential that fits the registry until one works, without any where none does."""
        credentials = await self._credentials(pod, reference, about)
        for index, auth in enumerate(credentials or [None]):
            try:
                await self.runtime.pull_image(reference, auth, sandbox)
                return
            except RuntimeFailure:
                if index + 1 >= len(credentials):
                    raise

    async def _credentials(self, pod: core_v1.Pod, reference: str, about: Teller) -> list[Auth | None]:
        wanted = [secret.name for secret in pod.spec.imagePullSecrets if secret.name]
        if not wanted:
            return []
        secrets = (await self.api.objects(pod.metadata.namespace, (), wanted)).secrets
        if missing := [name for name in wanted if secrets.get(name) is None]:
            about.warn("FailedToRetrieveImagePullSecret",
                       f"Unable to retrieve some image pull secrets ({', '.join(missing)}); attempting to pull the "
                       "image may not succeed.")
        return [auth for name in wanted if (secret := secrets.get(name)) for auth in credentials(secret, reference)]

    def _failed(self, key: str, why: str) -> None:
        now = self.clock.now()
        self.back_off.next(key, now, now)
        self.reasons[key] = f"ErrImagePull: {why}"

    def _waiting(self, key: str) -> Seconds:
        """How long until this image may be tried again."""
        entry = self.back_off.entries.get(key)
        return self.back_off.remaining(key, entry.updated, self.clock.now()) if entry else 0


def loaded(image: ImageStatus, reference: str) -> bool:
    """Whether an image came to the node by hand: a pull would have left the digest by which its registry knows it."""
    registry, path, _, _ = split(reference)
    return f"{registry}/{path}" not in {digest.partition("@")[0] for digest in image.digests}


@dataclass(frozen=True)
class Teller:
    """Events about one container."""

    tell: Tell
    pod: core_v1.Pod
    container: core_v1.Container

    def say(self, reason: str, message: str) -> None:
        self.tell(self.pod, reason, message, fieldPath=names.field_path(self.pod, self.container.name))

    def warn(self, reason: str, message: str) -> None:
        self.tell(self.pod, reason, message, type="Warning",
                  fieldPath=names.field_path(self.pod, self.container.name))


def credentials(secret: core_v1.Secret, reference: str) -> Iterator[Auth]:
    """What a pull secret holds for the registry of an image, the longest match first. Bad secrets hold nothing."""
    try:
        if secret.type == "kubernetes.io/dockerconfigjson":
            entries: Any = json.loads(secret.data.get(".dockerconfigjson", b"{}")).get("auths", {})
        else:
            entries = json.loads(secret.data.get(".dockercfg", b"{}"))
    except (ValueError, AttributeError):
        return
    if not isinstance(entries, dict):
        return
    registry, path, _, _ = split(reference)
    for server in sorted(entries, key=len, reverse=True):
        if isinstance(entries[server], dict) and fits(server, registry, path):
            yield auth_of(server, entries[server])


def fits(server: str, registry: str, path: str) -> bool:
    """Whether credentials for `https://index.docker.io/v1/`, `ghcr.io/org`, `*.example.com` are for this image."""
    bare = server.removeprefix("https://").removeprefix("http://").rstrip("/")
    host, _, prefix = bare.partition("/")
    prefix = "" if prefix in ("v1", "v2") else prefix
    if host in HUB_NAMES:
        same = registry in HUB_NAMES
    elif host.startswith("*."):
        same = registry.partition(".")[2] == host[2:]
    else:
        same = host == registry
    return same and (not prefix or path == prefix or path.startswith(prefix + "/"))


def auth_of(server: str, entry: dict[str, Any]) -> Auth:
    username, password = str(entry.get("username", "")), str(entry.get("password", ""))
    if entry.get("auth") and not username:
        try:
            decoded = base64.b64decode(str(entry["auth"])).decode()
        except (binascii.Error, UnicodeDecodeError):
            decoded = ""
        username, _, password = decoded.partition(":")
    return Auth(username=username, password=password, server_address=server,
                identity_token=str(entry.get("identitytoken", "")), registry_token=str(entry.get("registrytoken", "")))
