"""One priority level: its seats, and the queues in which flows wait for them. Pure; the time is an argument.

Queues are served by virtual time, as packets are by start-time fair queueing: each queue that has work is entitled to
the same share of the level's seats, so a queue's clock (`Queue.start`) advances by what its requests take, and the one
that is furthest behind is next. How long a request takes is not known when it starts: it is guessed (GUESS), and put
right when it ends. A flow uses a few queues of many (shuffle sharding), so that two flows that both wait hardly ever
share all of theirs.

Source: KEP-1040, "Fair Queuing for Server Requests".
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from timonier.apiserver.fairness.demand import Demand

GUESS = 0.003
"""Seconds for which a request is thought to have a seat until it has given it back."""
KEPT_HANDS = 4096
"""Flows whose queues are remembered."""
QUEUE_FULL, TIME_OUT, CONCURRENCY_LIMIT = "queue-full", "time-out", "concurrency-limit"
"""Why a request is turned away."""


class Queue:
    """Requests of some flows, in order, and how much the queue has been served in virtual time."""

    __slots__ = ("executing", "start", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Ticket] = deque()
        self.executing = 0
        """Seats that requests from this queue have now."""
        self.start = 0.0

    @property
    def busy(self) -> bool:
        return bool(self.executing or self.waiting)


class Ticket:
    """A request on its way through a level: `width` seats, once it has `started`, until it is `over`.

    `flow` is the name of its schema and what tells the flow from the schema's others.
    """

    __slots__ = ("arrived", "flow", "level", "over", "queue", "started", "width", "woken")

    def __init__(self, level: Level, flow: tuple[str, str], width: int, arrived: float) -> None:
        self.level, self.flow, self.width, self.arrived = level, flow, width, arrived
        self.queue: Queue | None = None
        self.started: float | None = None
        self.over = False
        self.woken: Any = None
        """What whoever waits for the ticket keeps here."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a PriorityLevelConfiguration says of waiting. Without queues, what finds no seat is turned away."""

    exempt: bool = False
    queues: int = 0
    hand: int = 1
    length: int = 0


@dataclass(slots=True, eq=False)
class Level:
    """One priority level. `limit` is how many seats it has now."""

    name: str
    uid: str = ""
    shape: Shape = field(default_factory=Shape)
    limit: int = 1
    in_use: int = 0
    executing: int = 0
    waiting: int = 0
    waiting_seats: int = 0
    demand: Demand = field(default_factory=Demand)
    progress: float = 0.0
    """Virtual time: what a queue that always has work has been entitled to so far, in seat-seconds."""
    _last: float = 0.0
    _queues: list[Queue] = field(default_factory=list)
    _backlog: dict[Queue, None] = field(default_factory=dict)
    """Queues in which somebody waits; who was served last stands last."""
    _active: int = 0
    _hands: dict[tuple[str, str], list[Queue]] = field(default_factory=dict)

    @property
    def queues(self) -> Sequence[Queue]:
        return self._queues

    def reshape(self, shape: Shape) -> None:
        """Take on another configuration. Who waits in a queue that is no more stays in it until served."""
        if shape != self.shape or not self._queues:
            self.shape = shape
            self._queues = (self._queues + [Queue() for _ in range(shape.queues)])[:shape.queues]
            self._hands.clear()

    def arrive(self, ticket: Ticket, now: float) -> str:
        """Begin with a request at once, or let it wait: then `started` is None. Says why, where it is turned away."""
        if self.shape.exempt:
            self._begin(ticket, now)
            return ""
        if not self._queues:
            if not self._fits(ticket):
                return CONCURRENCY_LIMIT
            self._begin(ticket, now)
            return ""
        self._advance(now)
        queue = ticket.queue = self._choose(ticket)
        at_once = not self.waiting and self._fits(ticket)
        if not at_once and len(queue.waiting) >= self.shape.length:
            return QUEUE_FULL
        if not queue.busy:  # it is not owed for the time in which it had nothing to do
            self._active += 1
            queue.start = max(queue.start, self.progress)
        if at_once:
            self._serve(ticket, queue, now)
        else:
            queue.waiting.append(ticket)
            self._backlog[queue] = None
            self.waiting += 1
            self.waiting_seats += ticket.width
            self.demand.change(self.in_use + self.waiting_seats, now)
        return ""

    def leave(self, ticket: Ticket, now: float) -> list[Ticket]:
        """A request is over, or waits no longer. Returns those that begin in its place."""
        if ticket.over:
            return []
        ticket.over = True
        self._advance(now)
        queue = ticket.queue
        if ticket.started is None:
            assert queue is not None
            queue.waiting.remove(ticket)
            self._waits_no_longer(ticket, queue)
        else:
            self.in_use -= ticket.width
            self.executing -= 1
            if queue is not None:
                queue.executing -= ticket.width
                queue.start += ticket.width * (now - ticket.started - GUESS)
        if queue is not None and not queue.busy:
            self._active -= 1
        self.demand.change(self.in_use + self.waiting_seats, now)
        return self.dispatch(now) if self.waiting else []

    def dispatch(self, now: float) -> list[Ticket]:
        """Begin with those that wait and now have seats. A request that needs many is not overtaken."""
        begun = []
        while self._backlog:
            queue = min(self._backlog, key=finish_of)
            ticket = queue.waiting[0]
            if not self._fits(ticket):
                break
            queue.waiting.popleft()
            self._waits_no_longer(ticket, queue)
            self._serve(ticket, queue, now)
            begun.append(ticket)
        return begun

    def _fits(self, ticket: Ticket) -> bool:
        return not self.in_use or self.in_use + ticket.width <= self.limit

    def _serve(self, ticket: Ticket, queue: Queue, now: float) -> None:
        queue.start += ticket.width * GUESS
        queue.executing += ticket.width
        self._begin(ticket, now)

    def _begin(self, ticket: Ticket, now: float) -> None:
        ticket.started = now
        self.in_use += ticket.width
        self.executing += 1
        self.demand.change(self.in_use + self.waiting_seats, now)

    def _waits_no_longer(self, ticket: Ticket, queue: Queue) -> None:
        self.waiting -= 1
        self.waiting_seats -= ticket.width
        del self._backlog[queue]
        if queue.waiting:
            self._backlog[queue] = None  # behind the others, where their clocks are equal

    def _advance(self, now: float) -> None:
        passed, self._last = now - self._last, now
        if self._active and passed > 0:
            self.progress += passed * min(self.in_use + self.waiting_seats, self.limit) / self._active

    def _choose(self, ticket: Ticket) -> Queue:
        """The least loaded of the flow's queues."""
        hand = self._hands.get(ticket.flow)
        if hand is None:
            if len(self._hands) >= KEPT_HANDS:
                self._hands.clear()
            cards = deal(hashed("\0".join(ticket.flow)), len(self._queues), self.shape.hand)
            hand = self._hands[ticket.flow] = [self._queues[card] for card in cards]
        if not self.in_use:
            return hand[0]
        return min(hand, key=load_of)


def load_of(queue: Queue) -> int:
    """Seats that are used or waited for in a queue."""
    return queue.executing + (sum(ticket.width for ticket in queue.waiting) if queue.waiting else 0)


def finish_of(queue: Queue) -> float:
    """The virtual time at which a queue's first request would be over."""
    return queue.start + queue.waiting[0].width * GUESS


def hashed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def deal(value: int, deck: int, size: int) -> list[int]:
    """`size` different cards of a deck, all hands equally likely for a random `value`."""
    cards: list[int] = []
    for left in range(deck, deck - min(size, deck), -1):
        value, card = divmod(value, left)
        for taken in sorted(cards):
            card += taken <= card
        cards.append(card)
    return cards
