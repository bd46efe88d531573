"""Static pods: manifests in a directory of the node, which run without an API server, and the objects that show them.

The kubelet makes a mirror pod on the API server for each, so that they can be seen; deleting a mirror only makes the
kubelet make it again. Source: Kubernetes documentation, "Create static Pods".
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from timonier.api import defaults, kinds
from timonier.api.check import Unreadable, check
from timonier.api.types import core_v1, meta_v1
from timonier.api.validation import validate
from timonier.kit import inotify
from timonier.kit.clock import Seconds
from timonier.node.kubelet import names
from timonier.node.kubelet.api import Unreachable
from timonier.node.kubelet.context import KubeletContext
from timonier.node.kubelet.pods import Pods

log = logging.getLogger(__name__)

RESCAN: Seconds = 20
SUFFIXES = (".yaml", ".yml", ".json")
SEEN = "kubernetes.io/config.seen"
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class BadManifest(ValueError):
    """A file that does not hold a pod; the message says why."""


def parse(text: str, file: Path, node_name: str) -> core_v1.Pod:
    """The pod of a manifest, named after its node and identified by its content. Raises BadManifest."""
    try:
        obj = yaml.load(text, LOADER)
    except yaml.YAMLError as error:
        raise BadManifest(f"not YAML: {error}") from error
    if not isinstance(obj, dict) or (obj.get("apiVersion"), obj.get("kind")) != ("v1", "Pod"):
        raise BadManifest("not a v1 Pod")
    if not isinstance(obj.get("metadata"), dict) or not isinstance(obj.get("spec"), dict):
        raise BadManifest("a pod needs metadata and spec")
    kind = kinds.find("v1", "Pod")
    assert kind is not None
    try:
        check(obj, kind.definition)
    except Unreadable as error:
        raise BadManifest(error.message) from error
    defaults.default(kind, obj)
    meta = obj["metadata"]
    meta["name"] = f"{meta.get('name', file.stem)}-{node_name}"
    meta.setdefault("namespace", "default")
    if causes := validate(kind, obj):
        raise BadManifest("; ".join(str(cause) for cause in causes))
    pod: core_v1.Pod = msgspec.convert(obj, core_v1.Pod)
    uid = hashlib.md5(f"{node_name}\0{file}\0{text}".encode(), usedforsecurity=False).hexdigest()
    pod.metadata.uid = uid
    pod.metadata.annotations |= {names.CONFIG_HASH: uid, names.CONFIG_SOURCE: "file"}
    pod.spec.nodeName = node_name
    pod.spec.tolerations.append(core_v1.Toleration(operator="Exists", effect="NoExecute"))
    return pod


def mirror_of(pod: core_v1.Pod, node: core_v1.Node) -> core_v1.Pod:
    """The object that shows a static pod on the API server."""
    meta = pod.metadata
    owner = meta_v1.OwnerReference(apiVersion="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid,
                                   controller=True)
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(
            name=meta.name, namespace=meta.namespace, labels=meta.labels, ownerReferences=[owner],
            annotations={**meta.annotations, names.CONFIG_MIRROR: meta.annotations[names.CONFIG_HASH]}),
        spec=pod.spec)


@dataclass
class StaticPods:
    """Follows the directory and keeps the mirrors."""

    folder: Path
    context: KubeletContext
    pods: Pods
    here: dict[str, core_v1.Pod] = field(default_factory=dict)
    """Static pods by uid."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    complained: dict[Path, str] = field(default_factory=dict)

    def load(self) -> None:
        """Read every manifest, and have exactly the pods that they describe."""
        found: dict[str, core_v1.Pod] = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(self.folder.iterdir()):
            if file.suffix in SUFFIXES and not file.name.startswith("."):
                try:
                    pod = parse(file.read_text(), file, self.context.settings.node_name)
                    found[pod.metadata.uid] = pod
                except (BadManifest, OSError, UnicodeDecodeError, msgspec.ValidationError) as error:
                    self._complain(file, str(error))
        for uid in set(self.here) - set(found):
            self.pods.removed(uid)
        for uid in set(found) - set(self.pods.workers):
            self.pods.present(found[uid])
        self.here = found

    def _complain(self, file: Path, why: str) -> None:
        if self.complained.get(file) != why:
            self.complained[file] = why
            log.error("static pod manifest ignored", extra={"file": str(file), "error": why})

    async def run(self) -> None:
        """Follow the directory, and keep the mirrors, for ever."""
        self.pods.mirror_changed = self.changed.set
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(), name="static pod manifests")
            while True:
                self.changed.clear()
                self.load()
                try:
                    await self._keep_mirrors()
                except Unreachable as error:
                    log.warning("mirror pods not written", extra={"error": str(error)})
                timer = group.create_task(self._rescan(), name="static pod rescan")
                await self.changed.wait()
                timer.cancel()

    async def _watch(self) -> None:
        """Notice changes at once; where that cannot be, `_rescan` does, later."""
        while True:
            try:
                async for _ in inotify.changes(self.folder):
                    self.changed.set()
            except OSError as error:
                log.warning("static pod manifests cannot be watched", extra={"error": str(error)})
            await self.context.clock.sleep(RESCAN)

    async def _rescan(self) -> None:
        await self.context.clock.sleep(RESCAN)
        self.changed.set()

    async def _keep_mirrors(self) -> None:
        wanted = {names.key(pod): pod for pod in self.here.values()}
        for key, mirror in list(self.pods.mirrors.items()):
            pod = wanted.get(key)
            same = pod is not None and mirror.metadata.annotations.get(names.CONFIG_MIRROR) == pod.metadata.uid
            if pod is not None and same and not mirror.metadata.deletionTimestamp:
                self.context.reports.seen(mirror, pod.metadata.uid)
                self.pods.changed(pod.metadata.uid)
            else:
                await self.context.api.delete_pod(mirror)
                self.pods.mirrors.pop(key, None)
        for key, pod in wanted.items():
            if key not in self.pods.mirrors:
                await self.context.api.create_pod(mirror_of(pod, self.context.node))
