"""The lines of a container's log file, and what a reader gets to see of them. Pure.

A line is `2026-01-02T03:04:05.678901234Z stdout F text`: when, which stream, F for a full line or P for a part of one
that goes on in the next, and what was written. Source: CRI logging, "Kubelet CRI Log Format".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from timonier.api import times
from timonier.kit.clock import Time

STREAMS = {"All": None, "Stdout": b"stdout", "Stderr": b"stderr"}
LINE_LIMIT = 1024 * 1024
"""Bytes kept of a line that does not end; what runtimes write is cut at 16 KiB."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What of a log is wanted. `stream` is All, Stdout or Stderr; `limit` counts bytes as they are sent."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since: Time | None = None
    tail: int | None = None
    limit: int | None = None
    stream: str = "All"


@dataclass(frozen=True, slots=True)
class Line:
    time: bytes
    stream: bytes
    full: bool
    content: bytes


def parse(raw: bytes) -> Line | None:
    """A line without its end; None where it is not in the format."""
    parts = raw.split(b" ", 3)
    if len(parts) < 4 or parts[1] not in (b"stdout", b"stderr"):
        return None
    return Line(parts[0], parts[1], not parts[2].startswith(b"P"), parts[3])


class Selection:
    """Turns the bytes of a file, fed in any pieces, into what the options let through."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._stream = STREAMS[options.stream]
        self._since = options.since
        self._left = options.limit
        self._rest = b""
        self._at_start = True
        """Whether the next content begins a line of the output."""

    @property
    def over(self) -> bool:
        """Whether the limit is reached: nothing more will come through."""
        return self._left is not None and self._left <= 0

    def feed(self, data: bytes) -> bytes:
        """What is to be sent of the lines that these bytes complete."""
        raw_lines = (self._rest + data).split(b"\n")
        self._rest = raw_lines.pop()[:LINE_LIMIT]
        output = b"".join(self._rendered(raw_lines))
        if self._left is not None:
            output = output[:self._left]
            self._left -= len(output)
        return output

    def restart(self) -> None:
        """Another file begins: half a line of the old one will never be completed."""
        self._rest = b""

    def _rendered(self, raw_lines: list[bytes]) -> Iterator[bytes]:
        timestamps = self._options.timestamps
        for raw in raw_lines:
            line = parse(raw)
            if line is None or (self._stream is not None and line.stream != self._stream) or self._too_early(line):
                continue
            if timestamps and self._at_start:
                yield fixed(line.time) + b" "
            yield line.content
            self._at_start = line.full
            if line.full:
                yield b"\n"

    def _too_early(self, line: Line) -> bool:
        """Lines are in the order of their times: once one is late enough, so are the rest."""
        if self._since is None:
            return False
        try:
            early = times.parse(line.time.decode("ascii", "replace")) < self._since
        except ValueError:
            return True
        if not early:
            self._since = None
        return early


def fixed(time: bytes) -> bytes:
    """A time with nine decimals, so that the column is straight: `…:05.1Z` as `…:05.100000000Z`."""
    digits = time[20:] if time[19:20] == b"." else b""
    count = 0
    while count < len(digits) and digits[count:count + 1].isdigit():
        count += 1
    zone = digits[count:] if digits else time[19:]
    return time[:19] + b"." + digits[:count][:9].ljust(9, b"0") + zone
