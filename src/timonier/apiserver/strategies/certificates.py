"""Requests for certificates: who made them, what each of their doors may write, and since when a condition holds."""

from __future__ import annotations

from typing import Any

from timonier.api.kinds import Kind
from timonier.api.times import rfc3339
from timonier.apiserver.request import User
from timonier.apiserver.strategies.base import Strategy, keep
from timonier.kit.clock import Clock, Time

Object = dict[str, Any]

VERDICTS = ("Approved", "Denied")


class SigningRequestStrategy(Strategy):
    """A request remembers who made it, whatever it claims. Its spec cannot be changed, its verdict not by /status."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def prepare_create(self, kind: Kind, obj: Object, user: User) -> None:
        super().prepare_create(kind, obj, user)
        spec = obj["spec"] = dict(obj.get("spec") or {})
        spec |= {"username": user.name, "uid": user.uid, "groups": list(user.groups),
                 "extra": {key: list(values) for key, values in user.extra.items()}}
        obj["spec"] = {key: value for key, value in spec.items() if value}

    def prepare_update(self, kind: Kind, obj: Object, old: Object) -> None:
        keep(obj, old, "spec", "status")

    def prepare_status(self, kind: Kind, obj: Object, old: Object) -> None:
        super().prepare_status(kind, obj, old)
        status, before = obj.get("status"), (old.get("status") or {}).get("conditions") or []
        if status and status.get("conditions"):
            verdicts = {each.get("type"): each for each in before if each.get("type") in VERDICTS}
            kept = [verdicts.get(each.get("type"), each) for each in status["conditions"]]
            obj["status"] = status | {"conditions": stamped(kept, before, self.clock.now())}


def stamped(conditions: list[Object], before: list[Object], now: Time) -> list[Object]:
    """Conditions with the moments at which they were written and came to hold, where these are not told."""
    moment, known = rfc3339(now), {(each.get("type"), each.get("status")): each for each in before}
    made = []
    for each in conditions:
        same = known.get((each.get("type"), each.get("status"))) or {}
        made.append(each | {
            "lastUpdateTime": each.get("lastUpdateTime") or same.get("lastUpdateTime") or moment,
            "lastTransitionTime": each.get("lastTransitionTime") or same.get("lastTransitionTime") or moment})
    return made
