"""Structured logging on the standard library: one JSON object a line, constant messages, bound keys.

`log.info("pod created", extra={"pod": key})` writes `{"ts":…,"level":"info","logger":…,"msg":"pod created","pod":…}`.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, TextIO

from timonier.kit.fatal import CannotRun

LEVELS = ("debug", "info", "warning", "error")
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that every record has; whatever else it carries was bound by the caller."""


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; values that JSON cannot hold are written as their `str`."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "ts": round(record.created, 6),
            "level": record.levelname.lower(),
            "logger": record.name.removeprefix("timonier."),
            "msg": record.getMessage(),
        }
        entry |= {key: value for key, value in vars(record).items() if key not in STANDARD}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Send every logger of this process to `stream`, or standard error, from `level` upwards. Raises CannotRun."""
    if level not in LEVELS:
        raise CannotRun(f"log level {level!r} must be one of {', '.join(LEVELS)}")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
