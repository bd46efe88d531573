"""Tell the API server what became of pods: only what changed, one write a pod at a time, the newest wins.

What a status says is computed in `status`; here it is compared, sent, and sent again until it has arrived.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import msgspec

from timonier.api import errors
from timonier.api.types import core_v1
from timonier.kit.clock import Clock
from timonier.node.kubelet import names, resize
from timonier.node.kubelet.api import Api, Unreachable

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
REPLACED = ("podIPs", "hostIPs")
"""Lists that strategic merge would otherwise mix with what was there before."""
CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled", resize.PENDING)
"""The kubelet's own; what others say of a pod is never written back."""
OF_OTHERS = ("nominatedNodeName", "resourceClaimStatuses", "resize")


def difference(old: core_v1.PodStatus, new: core_v1.PodStatus) -> dict[str, Any]:
    """A strategic merge patch from one status to another; empty where they say the same."""
    before, after = msgspec.to_builtins(old), msgspec.to_builtins(new)
    patch: dict[str, Any] = {}
    for name in {*before, *after} - set(OF_OTHERS):
        if before.get(name) == after.get(name):
            continue
        if name == "conditions":
            if fresh := conditions(before.get(name, []), after.get(name, [])):
                patch[name] = fresh
        elif name in REPLACED and before.get(name):
            patch[name] = [*after.get(name, []), {"$patch": "replace"}]
        else:
            patch[name] = after.get(name)
    return patch


def conditions(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A patch of the kubelet's own conditions."""
    then, now = ({one["type"]: one for one in listed if one["type"] in CONDITIONS} for listed in (before, after))
    changed = [dict.fromkeys(then.get(kind, ())) | one for kind, one in now.items() if then.get(kind) != one]
    return [*changed, *({"type": kind, "$patch": "delete"} for kind in then if kind not in now)]


@dataclass
class Slot:
    """One pod's status: what the server has, and what it is to have."""

    pod: core_v1.Pod
    wanted: core_v1.PodStatus | None = None
    task: asyncio.Task[None] | None = None
    gone: bool = False
    """The server no longer has this pod."""


@dataclass
class Reports:
    """Writes statuses in the background; `group` owns the writers."""

    api: Api
    clock: Clock
    group: asyncio.TaskGroup
    slots: dict[str, Slot] = field(default_factory=dict)

    def seen(self, pod: core_v1.Pod, uid: str = "") -> None:
        """The server's own copy of a pod, as it was watched: the base of the next difference.

        `uid` is that of the static pod which it mirrors.
        """
        slot = self.slots.setdefault(uid or pod.metadata.uid, Slot(pod))
        if slot.pod.metadata.uid != pod.metadata.uid:
            slot.pod, slot.gone = pod, False
        elif newer(pod, slot.pod):
            slot.pod = pod

    def current(self, uid: str, otherwise: core_v1.PodStatus) -> core_v1.PodStatus:
        """The status that was last decided for a pod, whether or not it has arrived."""
        slot = self.slots.get(uid)
        if slot is None:
            return otherwise
        return slot.wanted or slot.pod.status

    def write(self, uid: str, status: core_v1.PodStatus) -> None:
        """Have a status written soon; returns at once."""
        slot = self.slots.get(uid)
        if slot is None or slot.gone:
            return
        slot.wanted = status
        if slot.task is None or slot.task.done():
            slot.task = self.group.create_task(self._write(slot), name=f"status of {names.key(slot.pod)}")

    async def written(self, uid: str) -> None:
        """Return once what was decided for a pod has arrived, or the pod is gone."""
        slot = self.slots.get(uid)
        if slot and slot.task:
            await asyncio.shield(slot.task)

    def forget(self, uid: str) -> None:
        slot = self.slots.pop(uid, None)
        if slot and slot.task:
            slot.task.cancel()

    async def _write(self, slot: Slot) -> None:
        pause = FIRST_PAUSE
        while slot.wanted is not None:
            wanted = slot.wanted
            patch = difference(slot.pod.status, wanted)
            if not patch:
                slot.wanted = None if slot.wanted is wanted else slot.wanted
                continue
            try:
                answer = await self.api.patch_status(slot.pod, patch)
            except (errors.NotFound, errors.Conflict):
                slot.gone, slot.wanted = True, None
                return
            except Unreachable as error:
                log.warning("pod status not written", extra={"pod": names.key(slot.pod), "error": str(error)})
                await self.clock.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            if newer(answer, slot.pod):
                slot.pod = answer
            if slot.wanted is wanted:
                slot.wanted = None


def newer(one: core_v1.Pod, other: core_v1.Pod) -> bool:
    """Whether a copy of a pod is at least as new as another; resourceVersions of one kind are comparable."""
    mine, theirs = one.metadata.resourceVersion, other.metadata.resourceVersion
    if mine.isdigit() and theirs.isdigit():
        return int(mine) >= int(theirs)
    return True
