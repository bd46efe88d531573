"""The door in the server's pipeline: every request gets its seats here, waits for them, or is told to come back.

The gate knows the FlowSchemas and PriorityLevelConfigurations by the watch cache, and looks again when they changed.
Where nobody waits it costs a few microseconds: which flow a request belongs to is remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from timonier.api.errors import TooManyRequests
from timonier.api.kinds import BY_ID
from timonier.apiserver.fairness import defaults
from timonier.apiserver.fairness.classify import Schema, first, in_order
from timonier.apiserver.fairness.queues import TIME_OUT, Level, Shape, Ticket
from timonier.apiserver.fairness.shares import Bounds, at_first, borrowed, bounds
from timonier.apiserver.fairness.turns import Turns
from timonier.apiserver.fairness.width import most_of, width
from timonier.apiserver.meters import Histogram
from timonier.apiserver.registry import STAGES, Registry
from timonier.apiserver.request import Request
from timonier.kit.clock import Clock, Seconds

Object = dict[str, Any]

FLOW_SCHEMA, LEVEL = (BY_ID[f"flowcontrol.apiserver.k8s.io/v1/{kind}"]
                      for kind in ("FlowSchema", "PriorityLevelConfiguration"))
SCHEMA_HEADER, LEVEL_HEADER = b"x-kubernetes-pf-flowschema-uid", b"x-kubernetes-pf-prioritylevel-uid"
TOGETHER = 16
"""Creations that go through their stages together."""
KEPT_PLACES = 4096
"""Kinds of requests whose flow is remembered."""
LONGEST_WAIT: Seconds = 15.0
"""How long a request waits for its seats: a quarter of what a request may take."""
BALANCE_SECONDS: Seconds = 10.0
"""Between two adjustments of what levels lend each other."""
DURATIONS = (0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30)


class TurnedAway(TooManyRequests):
    """There is no seat, and none to wait for."""

    plain = True

    def __init__(self, retry_after: int) -> None:
        super().__init__("Too many requests, please try again later.\n", retry_after=retry_after)


@dataclass(slots=True, eq=False)
class Place:
    """Where requests of a schema go, and how many did."""

    schema: Schema
    level: Level
    headers: tuple[tuple[bytes, bytes], ...]
    """Which schema and level an answer went through, by uid, so that their names stay the administrator's."""
    dispatched: int = 0
    executing: int = 0
    seats: int = 0
    waiting: int = 0
    waiting_seats: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    waits: Histogram = field(default_factory=lambda: Histogram(DURATIONS))
    durations: Histogram = field(default_factory=lambda: Histogram(DURATIONS))


class Seat:
    """A request that was let in. `leave` may be called again."""

    __slots__ = ("gate", "place", "ticket")

    def __init__(self, gate: Gate, place: Place, ticket: Ticket) -> None:
        self.gate, self.place, self.ticket = gate, place, ticket

    def leave(self) -> None:
        ticket, place = self.ticket, self.place
        if ticket.over:
            return
        now = self.gate.clock.monotonic()
        place.executing -= 1
        place.seats -= ticket.width
        place.durations.observe(now - (ticket.started or now))
        wake(ticket.level.leave(ticket, now))


class Gate:
    """All levels of one server. `total` is how many seats they have together."""

    def __init__(self, registry: Registry, clock: Clock, total: int, longest_wait: Seconds = LONGEST_WAIT) -> None:
        self.registry, self.clock, self.total, self.longest_wait = registry, clock, total, longest_wait
        self.levels: dict[str, Level] = {}
        self.bounds: dict[str, Bounds] = {}
        self.places: dict[str, Place] = {}
        self.turns, self.creations = Turns(), Turns(TOGETHER, STAGES)
        self._schemas: list[Schema] = []
        self._caches = registry.cache(FLOW_SCHEMA), registry.cache(LEVEL)
        self._seen = (-1, -1)
        self._remembered: dict[tuple[object, ...], tuple[Place, tuple[str, str]]] = {}
        self._turned_away: dict[str, Retries] = {}

    async def enter(self, request: Request) -> Seat:
        """The request's seats, once it has them; sets its headers. Raises TurnedAway."""
        schemas, levels = self._caches
        if (schemas.version, levels.version) != self._seen:
            self._seen = schemas.version, levels.version
            self.configure(self.registry.peek_all(LEVEL), self.registry.peek_all(FLOW_SCHEMA))
        place, flow = self._place(request)
        request.marks = place.headers
        level = place.level
        if request.verb == "create" and not request.subresource:
            turn = self.creations.take(flow)
        else:
            turn = None if level.shape.exempt else self.turns.take(flow)
        if turn is not None:
            await turn
        now = self.clock.monotonic()
        ticket = Ticket(level, flow, self.width_of(request, level), now)
        why = level.arrive(ticket, now)
        if not why and ticket.started is None:
            why = await self._wait(place, ticket)
        if why:
            place.rejected[why] = place.rejected.get(why, 0) + 1
            raise TurnedAway(self._turned_away.setdefault(level.name, Retries()).after(self.clock.monotonic()))
        place.dispatched += 1
        place.executing += 1
        place.seats += ticket.width
        return Seat(self, place, ticket)

    async def _wait(self, place: Place, ticket: Ticket) -> str:
        """Return once a ticket has begun, or why it will not."""
        ticket.woken = asyncio.get_running_loop().create_future()
        place.waiting += 1
        place.waiting_seats += ticket.width
        try:
            async with asyncio.timeout(self.longest_wait):
                await ticket.woken
        except TimeoutError:
            pass
        except BaseException:
            wake(ticket.level.leave(ticket, self.clock.monotonic()))
            raise
        finally:
            place.waiting -= 1
            place.waiting_seats -= ticket.width
            place.waits.observe(self.clock.monotonic() - ticket.arrived)
        if ticket.started is None:
            wake(ticket.level.leave(ticket, self.clock.monotonic()))
            return TIME_OUT
        return ""

    def _place(self, request: Request) -> tuple[Place, tuple[str, str]]:
        user, info = request.user, request.info
        key = (user.name, user.groups, info.verb, info.group, info.resource, info.subresource, info.namespace,
               "" if info.is_resource else info.path)
        found = self._remembered.get(key)
        if found is None:
            schema = first(self._schemas, user, info) or self.places["catch-all"].schema
            if len(self._remembered) >= KEPT_PLACES:
                self._remembered.clear()
            found = self._remembered[key] = self.places[schema.name], (schema.name, schema.flow_of(user, info))
        return found

    def width_of(self, request: Request, level: Level) -> int:
        if request.verb not in ("list", "watch") or request.kind is None or level.shape.exempt:
            return 1
        return width(request, self.registry.cache(request.kind), most_of(self.bounds[level.name].nominal,
                                                                         level.shape.hand))

    def configure(self, levels: Sequence[Object], schemas: Sequence[Object]) -> None:
        """Take on the objects as they are now. Mandatory ones that are missing are as `defaults` has them."""
        found = with_mandatory(levels, defaults.LEVELS)
        self.bounds = bounds(self.total, {name: figures(obj["spec"]) for name, obj in found.items()})
        kept, self.levels = self.levels, {}
        for name, obj in found.items():
            level = self.levels[name] = kept.get(name) or Level(name, limit=at_first(self.bounds[name]))
            level.limit = max(1, min(max(level.limit, self.bounds[name].low), self.bounds[name].high))
            level.uid = obj["metadata"].get("uid", "")
            level.reshape(shape(obj["spec"]))
        self._schemas = in_order(with_mandatory(schemas, defaults.SCHEMAS).values(), self.levels)
        old, self.places = self.places, {}
        for schema in self._schemas:
            level = self.levels[schema.level]
            place = self.places[schema.name] = old.get(schema.name) or Place(schema, level, ())
            place.schema, place.level = schema, level
            place.headers = ((SCHEMA_HEADER, schema.uid.encode()), (LEVEL_HEADER, level.uid.encode()))
        self._remembered.clear()

    def balance(self) -> None:
        """Adjust what levels lend each other to what they needed since the last time."""
        now = self.clock.monotonic()
        for level in self.levels.values():
            level.demand.close(now)
        limited = {name: self.bounds[name] for name, level in self.levels.items() if not level.shape.exempt}
        exempt = sum(level.demand.high for name, level in self.levels.items() if name not in limited)
        nominal = sum(each.nominal for each in self.bounds.values())
        limits = borrowed(nominal - exempt, limited,
                          {name: self.levels[name].demand.high for name in limited},
                          {name: self.levels[name].demand.smoothed for name in limited})
        for name, limit in limits.items():
            self.levels[name].limit = limit
            wake(self.levels[name].dispatch(now))

    async def balance_forever(self) -> None:
        while True:
            await self.clock.sleep(BALANCE_SECONDS)
            self.balance()


class Retries:
    """After how many seconds who is turned away should come back: the longer, the more are turned away."""

    LONGEST = 32

    def __init__(self) -> None:
        self.seconds, self.count, self.since = 1, 0, 0.0

    def after(self, now: float) -> int:
        """The seconds for one more who is turned away."""
        if now - self.since > self.seconds:
            if self.count >= 3 * self.seconds:
                self.seconds = min(2 * self.seconds, self.LONGEST)
            elif self.count < self.seconds:
                self.seconds = max(1, self.seconds // 2)
            self.count, self.since = 0, now
        self.count += 1
        return self.seconds


def wake(tickets: Iterable[Ticket]) -> None:
    for ticket in tickets:
        if not ticket.woken.done():
            ticket.woken.set_result(None)


def with_mandatory(objects: Sequence[Object], known: Iterable[Object]) -> dict[str, Object]:
    """Objects by name. Where there are none at all, as before a cluster's first, those that are known."""
    found = {obj["metadata"]["name"]: obj for obj in objects or known}
    for obj in known:
        name = obj["metadata"]["name"]
        if name in defaults.MANDATORY:
            found[name] = found.get(name, obj) | {"spec": obj["spec"]}
    return found


def figures(spec: Object) -> tuple[int, int, int | None]:
    """(shares, lendable percent, borrowing limit percent) of a level."""
    exempt = spec["type"] == "Exempt"
    part = spec.get("exempt" if exempt else "limited") or {}
    shares = part.get("nominalConcurrencyShares")
    return (0 if exempt else 30) if shares is None else shares, part.get("lendablePercent") or 0, \
        part.get("borrowingLimitPercent")


def shape(spec: Object) -> Shape:
    if spec["type"] == "Exempt":
        return Shape(exempt=True)
    response = (spec.get("limited") or {}).get("limitResponse") or {}
    if response.get("type") != "Queue":
        return Shape()
    queuing = response.get("queuing") or {}
    return Shape(queues=queuing.get("queues") or 64, hand=queuing.get("handSize") or 8,
                 length=queuing.get("queueLengthLimit") or 50)
