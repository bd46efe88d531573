"""All pods of this node: one worker each, and nothing left of pods that are no longer known.

Pods come from the API server's list, and from manifests on the node. What happens to one pod is its worker's affair.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from timonier.api.types import core_v1
from timonier.kit.clock import Seconds
from timonier.node.cri.contract import RuntimeFailure
from timonier.node.kubelet import names
from timonier.node.kubelet.admit import admit
from timonier.node.kubelet.context import KubeletContext
from timonier.node.kubelet.observed import Ended, Observed, Run
from timonier.node.kubelet.plan import ENDED_PHASES
from timonier.node.kubelet.stop import DEFAULT_GRACE, together
from timonier.node.kubelet.worker import PodWorker, remove_traces, replace_status

log = logging.getLogger(__name__)

ORPHAN_PERIOD: Seconds = 60


@dataclass
class Pods:
    """The workers, by uid. `group` owns their tasks."""

    context: KubeletContext
    group: asyncio.TaskGroup
    workers: dict[str, PodWorker] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    """Pods whose worker has ended and which the API server still shows."""
    mirrors: dict[str, core_v1.Pod] = field(default_factory=dict)
    """By `namespace/name`: the API objects that show static pods."""
    mirror_changed: Callable[[], None] = lambda: None

    # Where pods come from.

    def on_change(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        """A pod was added, changed or removed on the API server."""
        if any(pod is not None and names.is_mirror(pod) for pod in (old, new)):
            self._mirror_changed(old, new)
            return
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self.removed(old.metadata.uid)
        if new is not None:
            self.context.reports.seen(new)
            self.present(new)

    def present(self, pod: core_v1.Pod) -> None:
        """A pod is meant to be on this node."""
        uid = pod.metadata.uid
        if worker := self.workers.get(uid):
            worker.update(pod)
        elif uid not in self.finished:
            self._begin(pod)

    def removed(self, uid: str) -> None:
        self.finished.discard(uid)
        if worker := self.workers.get(uid):
            worker.remove()
        else:
            self.context.reports.forget(uid)

    def evict(self, uid: str, ended: Ended) -> None:
        if worker := self.workers.get(uid):
            worker.evict(ended)

    def _mirror_changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        pod = new or old
        assert pod is not None
        if new is None:
            self.mirrors.pop(names.key(pod), None)
        else:
            self.mirrors[names.key(pod)] = new
        self.mirror_changed()

    def _begin(self, pod: core_v1.Pod) -> None:
        uid = pod.metadata.uid
        worker = PodWorker(self.context, pod, self._rejection(pod))
        self.workers[uid] = worker
        task = self.group.create_task(worker.run(), name=f"pod {names.key(pod)}")
        task.add_done_callback(lambda _: self._ended(uid))

    def _ended(self, uid: str) -> None:
        worker = self.workers.pop(uid, None)
        if worker and not worker.gone:
            self.finished.add(uid)

    def _rejection(self, pod: core_v1.Pod) -> Ended | None:
        """Why a pod is not taken in; one that has been here before is not asked again."""
        known = self.context.cache.observed(pod.metadata.uid)
        if known.sandboxes or known.runs or pod.metadata.deletionTimestamp or pod.status.phase not in ("", "Pending"):
            return None
        return admit(pod, self.active(), self.context.node, self.context.settings.max_pods)

    # What is here.

    def changed(self, uid: str) -> None:
        """Something is different in the runtime."""
        if worker := self.workers.get(uid):
            worker.wake.set()

    def active(self) -> Iterable[core_v1.Pod]:
        """Pods that take up room. Not those that the API server has forgotten: the scheduler gave their room away."""
        return (pod for pod in self.all(forgotten=False) if pod.status.phase not in ENDED_PHASES)

    def all(self, *, forgotten: bool = True) -> list[core_v1.Pod]:
        """Every pod with its status as last decided."""
        current = self.context.reports.current
        return [replace_status(worker.pod, current(uid, worker.pod.status)) for uid, worker in self.workers.items()
                if forgotten or not worker.gone]

    # What must not be here.

    async def remove_orphans(self) -> None:
        """Remove from time to time what belongs to no pod: the pod was deleted while no kubelet ran."""
        while True:
            context = self.context
            known = {*context.cache.pods, *context.volumes.existing(), *context.cgroups.existing(), *self._logs()}
            for uid in known - set(self.workers):
                try:
                    await self._remove_orphan(uid)
                except (RuntimeFailure, OSError) as error:
                    log.warning("orphaned pod cannot be removed", extra={"pod_uid": uid, "error": str(error)})
            await context.clock.sleep(ORPHAN_PERIOD)

    async def _remove_orphan(self, uid: str) -> None:
        observed = self.context.cache.observed(uid)
        log.info("removing orphaned pod", extra={"pod_uid": uid, "containers": len(observed.running)})
        await together([self.context.runtime.stop_container(run.id, grace) for run, grace in graces(observed)])
        await remove_traces(self.context, uid, observed)
        if directory := self._logs().get(uid):
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    def _logs(self) -> dict[str, Path]:
        """The pods' log directories, by uid."""
        folder = self.context.settings.pod_logs_dir
        return {path.name.rpartition("_")[2]: path for path in folder.iterdir()} if folder.is_dir() else {}


def graces(observed: Observed) -> Iterable[tuple[Run, Seconds]]:
    """Each running container with the grace period that it was started with."""
    for run in observed.running:
        text = run.status.annotations.get(names.GRACE_PERIOD, "")
        yield run, float(text) if text.isdigit() else DEFAULT_GRACE
