"""Random histories on every engine beside a list of all changes, which is slow and obviously right."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from timonier.store.contract import ABSENT, Change, Conflict, Entry, Event, Expired, Store
from timonier.store.memory import MemoryStore
from timonier.store.sqlite import SqliteStore

KEYS = st.sampled_from(["/a/1", "/a/2", "/a/22", "/b/1", "/b"])
PREFIXES = st.sampled_from(["/", "/a/", "/a/2", "/b", "/c/"])


class Oracle:
    """Every change that ever happened, searched from the start each time."""

    def __init__(self, first: int) -> None:
        self.first, self.latest, self.oldest = first, first, 0
        self.events: list[Event] = []

    def state(self, at: int) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for event in self.events:
            if event.revision <= at:
                before = entries.pop(event.key, None)
                if event.change is Change.PUT:
                    created = before.created if before else event.revision
                    entries[event.key] = Entry(event.key, event.value, event.revision, created)
        return entries

    def record(self, key: str, value: bytes | None) -> int:
        before = self.state(self.latest).get(key)
        self.latest += 1
        if value is None:
            assert before is not None
            self.events.append(Event(Change.DELETE, key, before.value, self.latest))
        else:
            self.events.append(Event(Change.PUT, key, value, self.latest, before.value if before else None))
        return self.latest


class History(RuleBasedStateMachine):
    persistent = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.store = self.run(self.open())
        self.oracle = Oracle(self.run(self.store.revision()))
        self.seen: list[Event] = []
        self.watch()

    async def open(self) -> Store:
        return MemoryStore(watch_buffer=2)

    def watch(self) -> None:
        self.watcher = self.store.watch("/", after=self.oracle.latest)

    def run(self, coroutine):
        return self.runner.run(asyncio.wait_for(coroutine, 20))

    def current(self, key: str) -> int:
        entry = self.oracle.state(self.oracle.latest).get(key)
        return entry.revision if entry else 0

    @rule(key=KEYS, value=st.binary(max_size=4))
    def put(self, key: str, value: bytes) -> None:
        revision = self.run(self.store.write(key, value, expect=self.current(key) or ABSENT))
        assert revision == self.oracle.record(key, value)

    @rule(key=KEYS, wrong=st.integers(-3, 3))
    def put_at_a_wrong_revision(self, key: str, wrong: int) -> None:
        current = self.current(key)
        expect = current + wrong if wrong else ABSENT
        if expect in (current, 0) or (expect is ABSENT and not current):
            return
        with pytest.raises(Conflict) as raised:
            self.run(self.store.write(key, b"never", expect=expect))
        assert raised.value.current == self.oracle.state(self.oracle.latest).get(key)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        if current := self.current(key):
            assert self.run(self.store.delete(key, expect=current)) == self.oracle.record(key, None)

    @rule(back=st.integers(0, 12))
    def compact(self, back: int) -> None:
        before = max(1, self.oracle.latest - back)
        self.run(self.store.compact(before))
        self.oracle.oldest = max(self.oracle.oldest, before)

    @rule(prefix=PREFIXES, back=st.integers(0, 12), after=st.none() | KEYS, limit=st.none() | st.integers(1, 3))
    def list_a_snapshot(self, prefix: str, back: int, after: str | None, limit: int | None) -> None:
        at = max(self.oracle.first, self.oracle.latest - back)
        if at < self.oracle.oldest:
            with pytest.raises(Expired):
                self.run(self.store.list(prefix, at=at, after=after, limit=limit))
            return
        page = self.run(self.store.list(prefix, at=at, after=after, limit=limit))
        expected = sorted((entry for key, entry in self.oracle.state(at).items()
                           if key.startswith(prefix) and key > (after or "")), key=lambda entry: entry.key)
        assert page.entries == expected[:limit]
        assert page.remaining == len(expected[len(page.entries):])
        assert page.revision == at

    @rule(prefix=PREFIXES, back=st.integers(0, 12))
    def resume_a_watch(self, prefix: str, back: int) -> None:
        position = max(0, self.oracle.latest - back)
        expected = [event for event in self.oracle.events
                    if event.revision > position and event.key.startswith(prefix)]
        events = self.store.watch(prefix, after=position)
        if position < self.oracle.oldest:
            with pytest.raises(Expired):
                self.run(anext(events))
        else:
            assert [self.run(anext(events)) for _ in expected] == expected
        self.run(events.aclose())

    @precondition(lambda self: self.persistent)
    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.store = self.run(self.open())
        self.watch()

    @invariant()
    def the_live_watcher_has_seen_everything(self) -> None:
        while len(self.seen) < len(self.oracle.events):
            self.seen.append(self.run(anext(self.watcher)))
        assert self.seen == self.oracle.events

    @invariant()
    def what_is_current_is_there(self) -> None:
        expected = self.oracle.state(self.oracle.latest)
        page = self.run(self.store.list("/"))
        assert {entry.key: entry for entry in page.entries} == expected
        assert page.revision == self.oracle.latest
        for key in ("/a/1", "/b"):
            assert self.run(self.store.get(key)) == expected.get(key)

    def teardown(self) -> None:
        self.run(self.watcher.aclose())
        self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)


class SqliteHistory(History):
    persistent = True

    async def open(self) -> Store:
        return await SqliteStore.open(self.folder / "store.db", watch_buffer=2, checkpoint_bytes=4096)


@pytest.mark.parametrize("machine", [pytest.param(History, id="memory"), pytest.param(SqliteHistory, id="sqlite")])
def test_random_histories_agree_with_the_oracle(machine: type[History]):
    run_state_machine_as_test(machine, settings=settings(
        max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)))
