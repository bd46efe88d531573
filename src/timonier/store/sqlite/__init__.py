"""The embedded engine: a revisioned log in one SQLite file, owned by one process.

    caller ── write ──▶ queue ──▶ writer thread: decide, insert, fsync ──▶ index ──▶ caller, watch hub
    caller ── get, list, replay ──▶ index ──▶ rows by revision
                                   checkpoint thread: log file ──▶ database file

`engine` is the Store; `file` the schema and the lock; `writer` the group commit and the compaction; `checkpoint` keeps
the write-ahead log short. Nothing here polls or sleeps.
"""

from timonier.store.sqlite.engine import SqliteStore
from timonier.store.sqlite.file import Unusable

__all__ = ["SqliteStore", "Unusable"]
