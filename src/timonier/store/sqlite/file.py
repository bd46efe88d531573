"""The file: its schema, the lock that makes one process its owner, and rows by revision.

The log is append-only and its revision is SQLite's rowid, so a write touches the end of one B-tree and no index; where
a key is, the index in memory knows. `previous` is the revision that a row replaced, 0 where the key was new. A row
without value is a deletion.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from timonier.kit.fatal import CannotRun
from timonier.store.contract import Change, Entry, Event, Revision, StoreError
from timonier.store.index import Index

FORMAT = 1
"""Written as `user_version`; a file of another format is refused."""

SCHEMA = """
CREATE TABLE log (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    created INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    value BLOB
);
CREATE TABLE bounds (oldest INTEGER NOT NULL);
INSERT INTO bounds VALUES (0);
"""

Parameters = tuple[Revision, str, Revision, Revision, bytes | None]
"""A row as it is inserted."""


class Unusable(CannotRun, StoreError):
    """The file cannot be opened as a store: another process has it, or it is not one."""


class Row(NamedTuple):
    key: str
    created: Revision
    value: bytes | None


class Lock:
    """Exclusive ownership of a store file, through a lock file beside it; ends with the process, however it ends."""

    def __init__(self, path: Path) -> None:
        name = Path(f"{path}.lock")
        try:
            self._fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unusable(f"{path} cannot be opened as a store: {error}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._fd, 32, 0).decode(errors="replace").strip()
            os.close(self._fd)
            raise Unusable(f"{path} is in use by process {owner or 'unknown'}; stop it first") from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        os.close(self._fd)


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode whose commits are durable and which never checkpoints by itself.

    `auto_vacuum` takes effect only in an empty file, before anything else is written.
    """
    connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False, cached_statements=128)
    for pragma in ("auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 0",
                   "temp_store = MEMORY", "journal_size_limit = 67108864"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def prepare(path: Path) -> sqlite3.Connection:
    """Create the file where there is none, check it where there is one. Raises Unusable."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = connect(path)
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found == 0 and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
        elif found != FORMAT:
            connection.close()
            raise Unusable(f"{path} is of format {found}; this program reads format {FORMAT}")
    except (sqlite3.Error, OSError) as error:
        raise Unusable(f"{path} cannot be opened as a store: {error}") from error
    return connection


def load_index(connection: sqlite3.Connection) -> Index:
    """Read which revision of which key is in the log; values are skipped."""
    oldest = connection.execute("SELECT oldest FROM bounds").fetchone()[0]
    changes = connection.execute("SELECT revision, key, value IS NULL FROM log ORDER BY revision")
    return Index.restore(changes, oldest)


INSERT = "INSERT INTO log (revision, key, created, previous, value) VALUES (?, ?, ?, ?, ?)"
ROW = ", (?, ?, ?, ?, ?)"


ONE_STATEMENT = 64
"""Rows that are inserted by one statement of their own, which is a transaction by itself."""


def append(connection: sqlite3.Connection, rows: Sequence[Parameters]) -> None:
    """Append rows durably, all or none, in as few statements as possible.

    Each statement releases the interpreter lock, and getting it back from a busy event loop may take milliseconds.
    """
    if len(rows) <= ONE_STATEMENT:
        insert(connection, rows)
    else:
        with transaction(connection):
            for start in range(0, len(rows), ONE_STATEMENT):
                insert(connection, rows[start:start + ONE_STATEMENT])


def insert(connection: sqlite3.Connection, rows: Sequence[Parameters]) -> None:
    connection.execute(INSERT + ROW * (len(rows) - 1), [field for row in rows for field in row])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the statements inside, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def read_row(connection: sqlite3.Connection, revision: Revision) -> Row | None:
    found = connection.execute("SELECT key, created, value FROM log WHERE revision = ?", (revision,)).fetchone()
    return None if found is None else Row(*found)


def read_entries(connection: sqlite3.Connection, revisions: Sequence[Revision]) -> list[Entry] | None:
    """The entries of revisions, in their order; None where one of them is no longer there."""
    entries = []
    for revision in revisions:
        row = read_row(connection, revision)
        if row is None or row.value is None:
            return None
        entries.append(Entry(row.key, row.value, revision, row.created))
    return entries


EVENTS = """
SELECT log.revision, log.key, log.value, before.value FROM log LEFT JOIN log AS before ON before.revision = log.previous
WHERE log.revision > ? AND log.revision <= ? AND log.key >= ? AND log.key < ? ORDER BY log.revision
"""


def read_events(connection: sqlite3.Connection, prefix: str, after: Revision, until: Revision) -> list[Event]:
    """The changes with after < revision <= until of keys with a prefix."""
    return [event(*row) for row in connection.execute(EVENTS, (after, until, prefix, prefix + "\x7f"))]


def event(revision: Revision, key: str, value: bytes | None, before: bytes | None) -> Event:
    if value is None:
        return Event(Change.DELETE, key, before or b"", revision)
    return Event(Change.PUT, key, value, revision, before)


def delete_rows(connection: sqlite3.Connection, revisions: Sequence[Revision]) -> None:
    places = ", ".join("?" * len(revisions))
    connection.execute(f"DELETE FROM log WHERE revision IN ({places})", revisions)


def shrink(connection: sqlite3.Connection, pages: int) -> bool:
    """Give up to `pages` free pages back to the file system; whether there are more."""
    connection.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()
    return bool(connection.execute("PRAGMA freelist_count").fetchone()[0])
