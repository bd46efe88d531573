"""The checkpoint thread: moves committed pages from the write-ahead log into the database, so that the log starts over.

A checkpoint waits for two fsyncs, which is why it has a thread of its own. While writes go on it never catches up with
the end of the log, so the log would grow for ever: once it is long, the rest is copied while the writer's gate is held.
That rest is what was written during the first pass, hence short.
"""

from __future__ import annotations

import logging
import sqlite3
import threading

log = logging.getLogger(__name__)

SOON = 4 << 20
"""Bytes written since the last checkpoint that start one."""
LONG = 4096
"""Pages in the log from which on the writer is held up until it is empty."""


class Checkpointer:
    """Owns a connection and a thread."""

    def __init__(self, connection: sqlite3.Connection, gate: threading.Lock, soon: int = SOON) -> None:
        self._connection, self._gate, self._soon = connection, gate, soon
        self._pending = 0
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="store-checkpoint", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def written(self, size: int) -> None:
        """Called by the writer after each commit with about how many bytes it was."""
        self._pending += size
        if self._pending >= self._soon:
            self._pending = 0
            self._wake.set()

    def stop(self) -> None:
        """End. What is left in the log is copied when the last connection closes, or by the next start."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            try:
                if self._pass() >= LONG:
                    with self._gate:
                        self._pass()
            except sqlite3.Error as error:  # the log keeps everything; the next commits ask again
                log.warning("checkpoint failed", extra={"error": str(error)})

    def _pass(self) -> int:
        """Copy what can be copied without waiting for anyone; the pages in the log, copied or not, when it began."""
        return int(self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])
