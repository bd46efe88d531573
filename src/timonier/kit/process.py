"""What a long-lived process does: its event loop, its end on a signal, the collector's rest after its start, memory."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from timonier.kit.clock import Clock, Seconds

SWITCH_INTERVAL = 0.0001
"""Seconds after which a thread may ask for the interpreter lock. With Python's default of 0.005, a thread beside a busy
event loop waits so long after each system call: durable writes were a quarter as many."""


def run_forever(main: Coroutine[Any, Any, None]) -> None:
    """Run a role until it returns or the process is asked to end (SIGTERM, SIGINT), which cancels it."""
    import uvloop

    sys.setswitchinterval(SWITCH_INTERVAL)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_signalled(main))


async def until_signalled(main: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(main)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        if not task.cancelled():
            raise


def hold() -> None:
    """Call where a role begins to read what it will keep: until `freeze`, the collector does not look for garbage.

    It would go through all that was read again and again: half of the time of reading 50,000 objects.
    """
    gc.disable()


def freeze() -> None:
    """Call once a role has started: what start-up made is never looked at by the collector again.

    Nothing is collected before: that would find a few hundred objects in 15 ms, in which somebody waits.
    """
    gc.freeze()
    gc.enable()


async def give_back_forever(clock: Clock, every: Seconds) -> None:
    """Return free memory to the system, again and again."""
    while True:
        await clock.sleep(every)
        await give_back()


async def give_back() -> None:
    """Return to the system the memory that is free.

    glibc's malloc keeps all that is below a block in use. Under requests of all sizes half of its heap was free after
    an hour, and it went on growing though nothing was kept. Other C libraries have nothing to ask for.
    """
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        await asyncio.to_thread(trim, 0)
