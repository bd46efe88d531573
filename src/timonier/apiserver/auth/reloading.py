"""Configuration files of access are read again while the server runs: an issuer is added without a restart.

A file that cannot be used is told of in the log, and what was there before stays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from timonier.kit.clock import Clock, Seconds
from timonier.kit.fatal import CannotRun

log = logging.getLogger(__name__)

EVERY: Seconds = 60.0


async def follow(file: Path, use: Callable[[], None], clock: Clock) -> None:
    """Call `use` whenever the content of a file is another, until cancelled."""
    seen = content(file)
    while True:
        await clock.sleep(EVERY)
        found = content(file)
        if found is None or found == seen:
            continue
        seen = found
        try:
            use()
        except CannotRun as error:
            log.warning("configuration not taken over", extra={"file": str(file), "why": str(error)})
        else:
            log.info("configuration taken over", extra={"file": str(file)})


def content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError as error:
        log.warning("configuration cannot be read", extra={"file": str(file), "why": str(error)})
        return None
