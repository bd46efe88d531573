"""The audit log as a file: an event a line; what is full or old is put aside, packed, and in the end removed.

What was put aside is called `audit-2026-01-02T03-04-05.678.log`, with `.gz` where it is packed.
"""

from __future__ import annotations

import asyncio
import datetime
import gzip
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from timonier.kit.clock import Clock, Time
from timonier.kit.fatal import needed

log = logging.getLogger(__name__)

STANDARD_OUTPUT = "-"
DAY = 86_400.0
PACKED = ".gz"
FORMAT = "%Y-%m-%dT%H-%M-%S"


class File:
    """A sink. Events are written before `deliver` returns; packing happens beside it."""

    def __init__(self, path: str, size: int, days: int, count: int, clock: Clock, *, compress: bool = False) -> None:
        self.path = Path(path)
        self.size, self.days, self.count, self.compress, self.clock = size, days, count, compress, clock
        self._standard = path == STANDARD_OUTPUT
        self._tidying: asyncio.Future[None] | None = None
        self._file, self._written = -1, 0
        if self._standard:
            self._file = os.dup(sys.stdout.fileno())
        else:
            with needed("cannot write the audit log"):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._open()

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._written = os.fstat(self._file).st_size

    async def deliver(self, events: Sequence[bytes]) -> None:
        """Write events. Raises OSError where the disk refuses."""
        data = b"".join(event + b"\n" for event in events)
        if not self._standard and self._written and self._written + len(data) > self.size:
            self._put_aside()
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view):]
        self._written += len(data)

    def _put_aside(self) -> None:
        os.close(self._file)
        os.rename(self.path, aside(self.path, self.clock.now()))
        self._open()
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.ensure_future(asyncio.to_thread(self._tidy))

    def _tidy(self) -> None:
        """Pack what was put aside, and remove what need not be kept."""
        try:
            for file in unneeded(put_aside(self.path), self.clock.now(), self.days, self.count):
                file.unlink(missing_ok=True)
            for file in put_aside(self.path) if self.compress else ():
                if file.suffix != PACKED:
                    pack(file)
        except OSError as error:
            log.warning("old audit logs not tidied up", extra={"error": str(error)})

    async def tidied(self) -> None:
        """Return when what was put aside is packed, and what need not be kept is gone."""
        if self._tidying is not None:
            await self._tidying

    async def close(self) -> None:
        await self.tidied()
        os.close(self._file)


def aside(path: Path, now: Time) -> Path:
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    stamp = f"{moment.strftime(FORMAT)}.{moment.microsecond // 1000:03}"
    return path.with_name(f"{path.stem}-{stamp}{path.suffix}")


def moment_of(path: Path, file: Path) -> Time | None:
    """When a file was put aside; None for a file that is something else."""
    name = file.name.removesuffix(PACKED)
    stamp = name.removeprefix(f"{path.stem}-").removesuffix(path.suffix)
    if f"{path.stem}-{stamp}{path.suffix}" != name:
        return None
    try:
        return datetime.datetime.strptime(f"{stamp}000+0000", f"{FORMAT}.%f%z").timestamp()
    except ValueError:
        return None


def put_aside(path: Path) -> list[Path]:
    """What was put aside of a log, the latest first."""
    found = [(moment, file) for file in path.parent.iterdir() if (moment := moment_of(path, file)) is not None]
    return [file for _, file in sorted(found, reverse=True)]


def unneeded(files: Iterable[Path], now: Time, days: int, count: int) -> list[Path]:
    """Of files that were put aside, the latest first, those that are too many or too old."""
    by_name: dict[str, list[Path]] = {}
    for file in files:
        by_name.setdefault(file.name.removesuffix(PACKED), []).append(file)
    groups = list(by_name.values())
    late = groups[count:] if count else []
    old = [group for group in groups if days and now - group[0].stat().st_mtime > days * DAY]
    return [file for group in {id(group): group for group in (*late, *old)}.values() for file in group]


def pack(file: Path) -> None:
    packed = file.with_name(file.name + PACKED)
    with open(file, "rb") as source, open(os.open(packed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw, \
            gzip.GzipFile(fileobj=raw, mode="wb") as target:
        shutil.copyfileobj(source, target)
    file.unlink()
