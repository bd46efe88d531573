"""What keeps a process from its work and is not its own fault: errors that end it with a sentence.

Such errors derive from `CannotRun` wherever they arise; `main` alone makes one line and an exit code of them. Anything
else that ends a process is a bug, and shows its traceback.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager


class CannotRun(Exception):
    """The process cannot do its work as it was told to; the message says what is wrong and what to do."""


@contextmanager
def needed(what: str) -> Iterator[None]:
    """What the operating system refuses in here, the process cannot do without: OSError becomes CannotRun."""
    try:
        yield
    except CannotRun:
        raise
    except OSError as error:
        raise CannotRun(f"{what}: {sentence(error)}") from error


def sentence(error: OSError) -> str:
    """What the operating system refused, about which file, and what to do where that is known."""
    files = " -> ".join(str(file) for file in (error.filename, error.filename2) if file is not None)
    said = f"{files}: {error.strerror or error}" if files else error.strerror or str(error)
    advice = advice_on(error.errno)
    return f"{said}; {advice}" if advice else said


def advice_on(number: int | None) -> str:
    match number:
        case errno.EACCES | errno.EPERM if os.geteuid() != 0:
            return "run this with sudo"
        case errno.ENOSPC | errno.EDQUOT:
            return "free some space and run this again"
        case errno.EMFILE | errno.ENFILE:
            return "raise the limit of open files (ulimit -n)"
        case errno.EADDRINUSE:
            return "end the program that listens there, or choose another port"
        case errno.EADDRNOTAVAIL:
            return "it is not an address of this machine"
    return ""


def reasons(error: BaseException) -> list[str]:
    """The sentences of all that ended a process, each once; none where something else ended it too."""
    if isinstance(error, CannotRun):
        return [str(error)]
    if not isinstance(error, BaseExceptionGroup):
        return []
    each = [reasons(part) for part in error.exceptions]
    return list(dict.fromkeys(text for texts in each for text in texts)) if all(each) else []
