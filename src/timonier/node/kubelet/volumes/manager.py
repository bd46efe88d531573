"""The volumes of pods on this node: set up before containers start, kept up to date, taken down when the pod is gone.

Everything of a pod lies below `<root>/pods/<uid>`, so that what an earlier kubelet left behind is found again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from timonier.api import quantity
from timonier.api.types import core_v1
from timonier.kit.clock import Clock, Time
from timonier.node.cri.contract import Mount, Propagation
from timonier.node.kubelet.api import Api, Token
from timonier.node.kubelet.environment import ConfigError
from timonier.node.kubelet.expansion import expand, unknown
from timonier.node.kubelet.fields import Addresses
from timonier.node.kubelet.volumes import atomic, contents, host_path, mounts, subpath
from timonier.node.kubelet.volumes.contents import VolumeError

PLUGINS = {"emptyDir": "empty-dir", "configMap": "configmap", "secret": "secret", "downwardAPI": "downward-api",
           "projected": "projected"}
IN_MEMORY = ("secret", "projected")
READ_ONLY = ("secret", "projected", "configMap", "downwardAPI")
PROPAGATIONS = {"HostToContainer": Propagation.HOST_TO_CONTAINER, "Bidirectional": Propagation.BIDIRECTIONAL}
TOKEN_LIFE = 0.8
"""Part of its life after which a token is replaced."""
TOKEN_MAX_AGE = 24 * 3600


class SetUpFailed(VolumeError):
    """One volume cannot be set up: which, and why."""

    def __init__(self, volume: str, why: str) -> None:
        super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {why}')


@dataclass(slots=True)
class Held:
    """A token that was issued, and when."""

    token: Token
    issued: Time


@dataclass
class Volumes:
    """Volumes under one root directory."""

    root: Path
    api: Api
    clock: Clock
    allocatable: Callable[[], Mapping[str, str]] = dict
    """What the node can give, for downward API files that show limits."""
    tmpfs: bool = True
    """Whether to mount memory file systems; a simulated node has plain directories."""
    tokens: dict[tuple[str, str], Held] = field(default_factory=dict)

    def pod_dir(self, uid: str) -> Path:
        return self.root / "pods" / uid

    def path(self, uid: str, volume: core_v1.Volume) -> Path:
        """Where a volume is on this node."""
        if volume.hostPath:
            return Path(volume.hostPath.path)
        return self.pod_dir(uid) / "volumes" / f"kubernetes.io~{PLUGINS[kind_of(volume)]}" / volume.name

    async def set_up(self, pod: core_v1.Pod, addresses: Addresses) -> None:
        """Make and fill every volume of a pod, or bring it up to date. Raises SetUpFailed, and what `Api` raises."""
        self.pod_dir(pod.metadata.uid).mkdir(mode=0o750, parents=True, exist_ok=True)
        for volume in pod.spec.volumes:
            if kind_of(volume) not in (*PLUGINS, "hostPath"):
                raise SetUpFailed(volume.name, f"{kind_of(volume)} volumes are not supported by this node")
        inputs = await self._inputs(pod, addresses)
        for volume in pod.spec.volumes:
            try:
                self._set_up(pod, volume, inputs)
            except (VolumeError, atomic.BadPath, OSError) as error:
                raise SetUpFailed(volume.name, str(error)) from error

    def changes(self, pod: core_v1.Pod) -> bool:
        """Whether a pod has volumes whose content can change."""
        return any(kind_of(volume) in READ_ONLY for volume in pod.spec.volumes)

    async def _inputs(self, pod: core_v1.Pod, addresses: Addresses) -> contents.Inputs:
        """Fetch all that the volumes show, at once."""
        config_maps: set[str] = set()
        secrets: set[str] = set()
        for volume in pod.spec.volumes:
            more_maps, more_secrets = contents.sources(volume)
            config_maps |= more_maps
            secrets |= more_secrets
        wanted = [source for volume in pod.spec.volumes for source in contents.token_sources(volume)]
        objects, tokens = await asyncio.gather(
            self.api.objects(pod.metadata.namespace, config_maps, secrets),
            asyncio.gather(*(self._token(pod, source) for source in wanted)))
        by_key = {contents.token_key(source): text for source, text in zip(wanted, tokens, strict=True)}
        return contents.Inputs(pod, objects, addresses, self.allocatable(), by_key)

    async def _token(self, pod: core_v1.Pod, source: core_v1.ServiceAccountTokenProjection) -> str:
        """A token that has some of its life left: the one that is there, or a new one."""
        key, now = (pod.metadata.uid, contents.token_key(source)), self.clock.now()
        held = self.tokens.get(key)
        if held is None or now - held.issued > min(TOKEN_LIFE * (held.token.expires - held.issued), TOKEN_MAX_AGE):
            token = await self.api.token(pod, source.audience, source.expirationSeconds or 3600)
            held = self.tokens[key] = Held(token, now)
        return held.token.text

    def _set_up(self, pod: core_v1.Pod, volume: core_v1.Volume, inputs: contents.Inputs) -> None:
        context = pod.spec.securityContext or core_v1.PodSecurityContext()
        if volume.hostPath:
            host_path.prepare(volume.hostPath.path, volume.hostPath.type)
            return
        where = self.path(pod.metadata.uid, volume)
        if not where.exists():
            where.mkdir(mode=0o750, parents=True)
        if kind_of(volume) == "emptyDir":
            self._empty_dir(where, volume.emptyDir or core_v1.EmptyDirVolumeSource(), context.fsGroup)
            return
        if kind_of(volume) in IN_MEMORY and self.tmpfs and not mounts.is_mounted(where):
            mounts.mount("tmpfs", where, "tmpfs", mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC)
        where.chmod(0o777)
        files = contents.files(volume, inputs)
        if context.fsGroup is not None:
            files = {path: atomic.File(file.data, file.mode | 0o440, file.uid) for path, file in files.items()}
        atomic.write(where, files, context.fsGroup)

    def _empty_dir(self, where: Path, source: core_v1.EmptyDirVolumeSource, gid: int | None) -> None:
        """A directory that everybody may write to; in memory, of a size, where asked for."""
        if source.medium not in ("", "Memory"):
            raise VolumeError(f"unknown storage medium {source.medium!r}")
        done, lost = where.parent / f".{where.name}.ready", False
        if source.medium == "Memory" and self.tmpfs:
            lost = not mounts.is_mounted(where)
        if done.exists() and not lost:
            return
        if lost:
            size = f"size={quantity.whole(source.sizeLimit)}" if source.sizeLimit else ""
            mounts.mount("tmpfs", where, "tmpfs", mounts.MS_NOSUID | mounts.MS_NODEV, size)
        mode = 0o777 if source.mode is None else source.mode
        if gid is not None:
            os.chown(where, -1, gid)
            mode |= 0o2070
        where.chmod(mode)
        done.touch()

    def container_mounts(self, pod: core_v1.Pod, container: core_v1.Container, environment: Mapping[str, str],
                         hosts_file: str | None, attempt: int) -> list[Mount]:
        """What a container sees: its volumes, /etc/hosts, and a file for its last words. Raises ConfigError."""
        by_name = {volume.name: volume for volume in pod.spec.volumes}
        result = []
        for index, wanted in enumerate(container.volumeMounts):
            volume = by_name.get(wanted.name)
            if volume is None:
                raise ConfigError(f"cannot find volume {wanted.name!r} to mount into container {container.name!r}")
            result.append(self._mount(pod, container, volume, wanted, index, environment))
        own = self.pod_dir(pod.metadata.uid)
        if hosts_file is not None and all(mount.container_path != "/etc/hosts" for mount in result):
            (own / "etc-hosts").write_text(hosts_file)
            result.append(Mount("/etc/hosts", str(own / "etc-hosts")))
        if container.terminationMessagePath:
            last_words = self.message_file(pod, container.name, attempt)
            last_words.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            last_words.touch()
            last_words.chmod(0o666)
            result.append(Mount(container.terminationMessagePath, str(last_words)))
        return result

    def message_file(self, pod: core_v1.Pod, container: str, attempt: int) -> Path:
        return self.pod_dir(pod.metadata.uid) / "containers" / container / str(attempt)

    def _mount(self, pod: core_v1.Pod, container: core_v1.Container, volume: core_v1.Volume,
               wanted: core_v1.VolumeMount, index: int, environment: Mapping[str, str]) -> Mount:
        source = self.path(pod.metadata.uid, volume)
        if wanted.recursiveReadOnly == "Enabled":
            raise ConfigError(f'failed to resolve recursive read-only mode: volume "{wanted.name}" requested recursive '
                              "read-only mode, but it is not supported by the runtime")
        path = wanted.subPath
        if wanted.subPathExpr:
            if missing := unknown(wanted.subPathExpr, environment):
                raise ConfigError(f"missing value for {missing[0]!r}")
            path = expand(wanted.subPathExpr, environment)
        if path:
            target = self.pod_dir(pod.metadata.uid) / "volume-subpaths" / volume.name / container.name / str(index)
            try:
                subpath.bind(source, path, target)
            except (VolumeError, OSError) as error:
                raise ConfigError(f'failed to prepare subPath for volumeMount "{wanted.name}" of container '
                                  f'"{container.name}": {error}') from error
            source = target
        inside = wanted.mountPath if wanted.mountPath.startswith("/") else f"/{wanted.mountPath}"
        return Mount(inside, str(source), bool(wanted.readOnly) or kind_of(volume) in READ_ONLY,
                     PROPAGATIONS.get(wanted.mountPropagation, Propagation.PRIVATE))

    def existing(self) -> set[str]:
        """The uids of the pods that have a directory here."""
        pods = self.root / "pods"
        return {entry.name for entry in pods.iterdir() if entry.is_dir()} if pods.is_dir() else set()

    async def tear_down(self, uid: str) -> None:
        """Unmount and delete all that a pod had here; fine where there is nothing. Raises OSError."""
        for key in [key for key in self.tokens if key[0] == uid]:
            del self.tokens[key]
        await asyncio.to_thread(remove, self.pod_dir(uid))


def kind_of(volume: core_v1.Volume) -> str:
    """`emptyDir`, `configMap`, …: which of a volume's sources is set; one without any is an emptyDir."""
    kinds = (name for name in volume.__struct_fields__ if name != "name" and getattr(volume, name) is not None)
    return next(kinds, "emptyDir")


def remove(folder: Path) -> None:
    """Delete a directory in which things may be mounted, none of which is touched."""
    if not folder.exists():
        return
    for point in mounts.mounted_below(folder):
        mounts.unmount(Path(point))
    if left := mounts.mounted_below(folder):
        raise OSError(f"still mounted: {left[0]}")
    shutil.rmtree(folder)

