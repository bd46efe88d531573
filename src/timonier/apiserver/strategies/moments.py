"""Kinds that remember since when something is so: volumes their phase, taints of devices themselves."""

from __future__ import annotations

from typing import Any

from timonier.api.kinds import Kind
from timonier.api.times import rfc3339
from timonier.apiserver.request import User
from timonier.apiserver.strategies.base import StatusAlone, Strategy
from timonier.kit.clock import Clock

Object = dict[str, Any]


class VolumeStrategy(Strategy):
    """Volumes wait to be bound."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def prepare_create(self, kind: Kind, obj: Object, user: User) -> None:
        obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": rfc3339(self.clock.now())}

    def prepare_status(self, kind: Kind, obj: Object, old: Object) -> None:
        """The moment is the writer's where he tells another, else that of the change, or of the one before."""
        super().prepare_status(kind, obj, old)
        status, before = obj.get("status") or {}, old.get("status") or {}
        since, told = before.get("lastPhaseTransitionTime"), status.get("lastPhaseTransitionTime")
        if status.get("phase") == before.get("phase"):
            since = told or since
        elif told in (None, since):
            since = rfc3339(self.clock.now())
        else:
            since = told
        if since:
            obj["status"] = status | {"lastPhaseTransitionTime": since}


class DeviceTaintStrategy(Strategy):
    """Taints on devices themselves."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def prepare_create(self, kind: Kind, obj: Object, user: User) -> None:
        super().prepare_create(kind, obj, user)
        self.stamp(obj)

    def prepare_update(self, kind: Kind, obj: Object, old: Object) -> None:
        super().prepare_update(kind, obj, old)
        self.stamp(obj)

    def stamp(self, obj: Object) -> None:
        for taint in taints(obj):
            taint.setdefault("timeAdded", rfc3339(self.clock.now()))


class TaintRuleStrategy(DeviceTaintStrategy, StatusAlone):
    """A taint for devices, which is another one when its effect is."""

    def prepare_update(self, kind: Kind, obj: Object, old: Object) -> None:
        for now, before in zip(taints(obj), taints(old), strict=False):
            if now.get("effect") != before.get("effect") and now.get("timeAdded") == before.get("timeAdded"):
                now.pop("timeAdded", None)
        super().prepare_update(kind, obj, old)


def taints(obj: Object) -> list[Object]:
    spec = obj.get("spec") or {}
    if "taint" in spec:
        return [spec["taint"]]
    return [taint for device in spec.get("devices") or () for taint in device.get("taints") or ()]


def strategies(clock: Clock) -> dict[str, Strategy]:
    return {"v1/PersistentVolume": VolumeStrategy(clock),
            "resource.k8s.io/v1/DeviceTaintRule": TaintRuleStrategy(clock),
            "resource.k8s.io/v1/ResourceSlice": DeviceTaintStrategy(clock)}
