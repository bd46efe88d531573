"""One client of a watch: what it is sent in pieces, and what waits for it while it is behind.

A client that does not keep up is waited for until its backlog reaches the limit, and then disconnected: it can resume
from what it has seen. What waits is shared with all that wait for the same, so that many slow clients cost little.
"""

from __future__ import annotations

import asyncio
import logging

from timonier.kit.taken import Taken

log = logging.getLogger(__name__)


class Watcher:
    """One client. `limit` is how many bytes may wait for it, `last` what its answer ends with."""

    __slots__ = ("_backlog", "_size", "cut", "last", "limit", "over", "taken")

    def __init__(self, taken: Taken, limit: int, last: bytes) -> None:
        self.taken, self.limit, self.last = taken, limit, last
        self.over = False
        self.cut: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the server has to end this watch."""
        self._backlog: list[bytes] = []
        self._size = 0
        taken.when_writable = self.catch_up

    def send(self, piece: bytes) -> None:
        """Send a piece now, or when the client has caught up."""
        if self.over:
            return
        if not self._backlog and self.taken.writable:
            self.taken.write(piece)
            return
        self._backlog.append(piece)
        self._size += len(piece)
        if self._size > self.limit:
            log.info("a watcher that did not keep up was disconnected", extra={"bytes": self._size})
            self.over = True
            self._backlog.clear()
            self.taken.abort()

    def catch_up(self) -> None:
        """Send what waited, in one piece."""
        if self._backlog:
            piece = b"".join(self._backlog)
            self._backlog.clear()
            self._size = 0
            self.taken.write(piece)

    def finish(self) -> None:
        """End the answer, after all that it was sent."""
        if not self.over:
            self.over = True
            self.catch_up()
            self.taken.write(self.last)
            self.taken.close()
            if not self.cut.done():
                self.cut.set_result(None)
