"""What keeps a process from running and is not its own fault: the one error that ends it with a sentence.

Errors of this kind derive from `CannotRun` wherever they arise; `main` alone turns them into a line and exit code 1.
Anything else that ends a process is a bug, and shows its traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CannotRun(Exception):
    """The process cannot do its work as it was told to; the message says what is wrong and what to do."""


@contextmanager
def needed(what: str) -> Iterator[None]:
    """What the operating system refuses in here, the process cannot do without: OSError becomes CannotRun."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise CannotRun(f"{what}: {where}{error.strerror or error}") from error
