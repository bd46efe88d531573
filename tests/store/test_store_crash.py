"""A writer killed with SIGKILL at random moments, hundreds of times on one file; what it was told is true afterwards.

The writer reports through a pipe, after the store answered, each write that was acknowledged and each event that its
watcher saw. After every kill the file is opened again and its log must be: all that was acknowledged, nothing that was
never asked for, and for a watcher that resumes behind the last event it saw, every revision once.
"""

import asyncio
import json
import multiprocessing
import os
import random
import signal
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from timonier.store.contract import ABSENT, Change
from timonier.store.sqlite import SqliteStore

ROUNDS = 240
KEYS = [f"/pods/default/{number}" for number in range(12)]
LAST_MOMENT = 0.035
"""Seconds after its first report at which a writer is killed at the latest."""


async def write_for_ever(path: str, pipe: Connection, seed: int) -> None:
    """Writers that replace, delete and create random keys, a watcher, and compactions, all at once."""
    chance = random.Random(seed)
    store = await SqliteStore.open(path, checkpoint_bytes=chance.choice([4096, 100_000, 4 << 20]))
    start = await store.revision()

    def report(*line: object) -> None:
        os.write(pipe.fileno(), json.dumps(line).encode() + b"\n")

    async def watch() -> None:
        async for event in store.watch("/", after=start):
            report("seen", event.revision)

    async def write(key: str) -> None:
        entry = await store.get(key)
        revision = entry.revision if entry else 0
        while True:
            value = f"{seed} {chance.random()} ".encode() * chance.choice([1, 10, 500])
            if revision and chance.random() < 0.2:
                report("deleted", await store.delete(key, expect=revision), key)
                revision = 0
            else:
                revision = await store.write(key, value, expect=revision or ABSENT)
                report("written", revision, key, hash_of(value))

    async def compact() -> None:
        while True:
            await asyncio.sleep(chance.random() / 50)
            before = max(1, await store.revision() - 40)
            await store.compact(before)
            report("compacted", before)

    await asyncio.gather(watch(), compact(), *(write(key) for key in KEYS))


def hash_of(value: bytes | None) -> str:
    return "" if value is None else f"{len(value)} {value[:32].decode()}"


def child(path: str, pipe: Connection, seed: int) -> None:
    asyncio.run(write_for_ever(path, pipe, seed))


@dataclass
class Model:
    """What the file held after the last kill: the latest revision, and where each key stands."""

    latest: int = 1
    entries: dict[str, tuple[int, str]] = field(default_factory=dict)


def run_and_kill(path: Path, seed: int) -> list[list[object]]:
    """The reports of one writer's life, complete lines only."""
    context = multiprocessing.get_context("fork")  # importing everything again would cost ten times the round
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(str(path), theirs, seed))
    process.start()
    theirs.close()
    assert ours.poll(20), "the writer never reported"
    time.sleep(random.Random(-seed).random() * LAST_MOMENT)  # the random moment; nothing waits for it
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    text = b""
    while part := os.read(ours.fileno(), 1 << 16):
        text += part
    process.join(10)
    assert process.exitcode == -signal.SIGKILL
    ours.close()
    return [json.loads(line) for line in text.split(b"\n")[:-1]]


async def check(path: Path, model: Model, reports: list[list[object]]) -> None:
    acknowledged = {report[1]: report[2:] for report in reports if report[0] in ("written", "deleted")}
    seen = [report[1] for report in reports if report[0] == "seen"]
    assert seen == list(range(model.latest + 1, model.latest + 1 + len(seen))), "a watcher missed or repeated an event"
    store = await SqliteStore.open(path)
    latest = await store.revision()
    assert latest >= max([model.latest, *acknowledged, *seen]), "an acknowledged revision is lost"
    position = max(model.latest, latest - 30)
    resumed = store.watch("/", after=position)
    events = [await asyncio.wait_for(anext(resumed), 10) for _ in range(position, latest)]
    await resumed.aclose()
    assert [event.revision for event in events] == list(range(position + 1, latest + 1))
    for event in events:
        if event.revision in acknowledged:
            key, *value = acknowledged[event.revision]
            assert event.key == key
            assert value == ([hash_of(event.value)] if event.change is Change.PUT else [])
    page = await store.list("/")
    found = {entry.key: (entry.revision, hash_of(entry.value)) for entry in page.entries}
    for key in KEYS:
        check_key(key, found.get(key), model.entries.get(key), acknowledged)
    model.entries, model.latest = found, latest
    await store.close()


def check_key(key: str, found: tuple[int, str] | None, before: tuple[int, str] | None,
              acknowledged: dict[object, list[object]]) -> None:
    """A key stands where its last acknowledged change left it, or at the one change that was on its way."""
    last = max((revision for revision, report in acknowledged.items() if report[0] == key), default=None)
    expected = before if last is None else (last, acknowledged[last][1]) if len(acknowledged[last]) == 2 else None
    if found != expected:
        assert found is None or found[0] not in acknowledged, f"{key}: an acknowledged write is lost"
        assert found is None or found[0] > max(acknowledged, default=0) - 2 * len(KEYS), f"{key} went back in time"
        assert expected is None or found is None or found[0] > expected[0], f"{key} went back in time"


def test_nothing_acknowledged_is_lost_and_no_watcher_misses_or_repeats_an_event(tmp_path: Path):
    model, written = Model(), 0
    for seed in range(1, ROUNDS + 1):
        reports = run_and_kill(tmp_path / "store.db", seed)
        asyncio.run(check(tmp_path / "store.db", model, reports))
        written += sum(report[0] == "written" for report in reports)
    assert written > 10 * ROUNDS, "the writers were killed before they wrote anything worth checking"
