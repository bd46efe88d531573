"""How many seats a request takes: one, but for lists and the first events of watches, which take memory and time.

What counts is the bytes that are sent at once. Watchers of what is written do not make a write wider, as they do in
kube-apiserver: here all of them together are handed an event in less time than that estimates for ten.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from timonier.apiserver.request import Request

if TYPE_CHECKING:
    from timonier.apiserver.cache import Cache

BYTES_PER_SEAT = 100_000
STREAMED = 1_000_000
"""Bytes of one answer that are counted at most, since answers leave in pieces."""
MOST_SEATS = 100
LEVEL_PART = 0.15
"""Part of a level's seats that one request may take."""


def width(request: Request, cache: Cache | None, most: int) -> int:
    """Seats of a request for a collection that `cache` holds; `most` is what its level lets one request have."""
    if cache is None or request.info.name:
        return 1
    if request.verb == "watch":
        revision = request.parameter("resourceVersion")
        if revision not in ("", "0") and not request.flag("sendInitialEvents"):
            return 1
    elif request.verb != "list":
        return 1
    count = len(cache.items)
    if not count:
        return 1
    limit = request.parameter("limit")
    taken = min(count, int(limit)) if limit.isdigit() and limit != "0" else count
    seats = math.ceil(min(taken * (cache.size / count), STREAMED) / BYTES_PER_SEAT)
    return max(1, min(seats, most))


def most_of(nominal: int, hand: int) -> int:
    """Seats that one request may take of a level with so many."""
    return max(1, min(math.ceil(nominal * LEVEL_PART), nominal // max(hand, 1), MOST_SEATS))
