"""What the contract promises, once for every engine."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from timonier.store.contract import ABSENT, Change, Conflict, Entry, Event, Expired, Future, Store, Unavailable


async def take(events: AsyncIterator[Event], count: int) -> list[Event]:
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


async def fill(store: Store, *keys: str) -> list[int]:
    return [await store.write(key, key.encode(), expect=ABSENT) for key in keys]


async def keys(store: Store, prefix: str, **options: object) -> list[str]:
    return [entry.key for entry in (await store.list(prefix, **options)).entries]


async def test_an_empty_store_already_has_a_positive_revision(store: Store):
    assert await store.revision() > 0
    assert (await store.list("/")).revision == await store.revision()


async def test_each_change_takes_the_next_revision(store: Store):
    first = await store.revision()
    created = await store.write("/a", b"1", expect=ABSENT)
    replaced = await store.write("/a", b"2", expect=created)
    deleted = await store.delete("/a", expect=replaced)
    assert [created, replaced, deleted] == [first + 1, first + 2, first + 3]
    assert await store.revision() == deleted


async def test_a_replaced_entry_remembers_the_write_that_made_it(store: Store):
    created = await store.write("/a", b"1", expect=ABSENT)
    replaced = await store.write("/a", b"2", expect=created)
    assert await store.get("/a") == Entry("/a", b"2", replaced, created)


async def test_a_key_made_again_is_a_new_key(store: Store):
    [created] = await fill(store, "/a")
    await store.delete("/a", expect=created)
    assert await store.get("/a") is None
    again = await store.write("/a", b"2", expect=ABSENT)
    assert await store.get("/a") == Entry("/a", b"2", again, again)


async def test_creating_what_exists_conflicts_and_shows_what_is_there(store: Store):
    [created] = await fill(store, "/a")
    with pytest.raises(Conflict) as raised:
        await store.write("/a", b"2", expect=ABSENT)
    assert raised.value.current == Entry("/a", b"/a", created, created)
    assert await store.revision() == created


@pytest.mark.parametrize("expect", [0, -1, 1, 2**70], ids=["zero", "negative", "passed", "beyond-64-bits"])
async def test_deleting_at_another_revision_conflicts(store: Store, expect: int):
    [created] = await fill(store, "/a")
    with pytest.raises(Conflict) as raised:
        await store.delete("/a", expect=expect)
    assert raised.value.current is not None
    assert raised.value.current.revision == created


async def test_replacing_or_deleting_what_does_not_exist_conflicts(store: Store):
    with pytest.raises(Conflict) as raised:
        await store.write("/a", b"1", expect=7)
    assert raised.value.current is None
    with pytest.raises(Conflict):
        await store.delete("/a", expect=0)


async def test_of_many_writers_that_expect_the_same_revision_one_wins(store: Store):
    [created] = await fill(store, "/a")
    outcomes = await asyncio.gather(*(store.write("/a", b"%d" % n, expect=created) for n in range(50)),
                                    return_exceptions=True)
    winners = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert winners == [created + 1]
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 49


async def test_writes_side_by_side_all_get_revisions_of_their_own(store: Store):
    first = await store.revision()
    revisions = await asyncio.gather(*(store.write(f"/{n}", b"", expect=ABSENT) for n in range(100)))
    assert sorted(revisions) == list(range(first + 1, first + 101))


async def test_a_write_may_expect_a_revision_that_is_on_its_way(store: Store):
    """Two writes of one commit: the second sees the first."""
    first = await store.revision()
    outcomes = await asyncio.gather(store.write("/a", b"1", expect=ABSENT), store.write("/a", b"2", expect=first + 1),
                                    store.delete("/a", expect=first + 2), store.write("/a", b"3", expect=ABSENT))
    assert outcomes == [first + 1, first + 2, first + 3, first + 4]
    events = await take(store.watch("/", after=first), 4)
    assert [(event.value, event.previous) for event in events] == [(b"1", None), (b"2", b"1"), (b"2", None),
                                                                   (b"3", None)]


async def test_values_are_bytes_of_any_kind_and_length(store: Store):
    for number, value in enumerate([b"", b"\0", bytes(range(256)), b"x" * 3_000_000]):
        await store.write(f"/{number}", value, expect=ABSENT)
        entry = await store.get(f"/{number}")
        assert entry is not None
        assert entry.value == value


async def test_listing_gives_a_prefix_in_key_order(store: Store):
    await fill(store, "/pods/b", "/pods/a", "/podsx", "/pod", "/pods/a/1", "/services/a", "/pods/~")
    assert await keys(store, "/pods/") == ["/pods/a", "/pods/a/1", "/pods/b", "/pods/~"]
    assert await keys(store, "/none/") == []


async def test_paging_walks_one_snapshot_while_it_changes(store: Store):
    revisions = await fill(store, "/a", "/b", "/c", "/d", "/e")
    page = await store.list("/", limit=2)
    assert ([entry.key for entry in page.entries], page.remaining) == (["/a", "/b"], 3)
    await store.delete("/c", expect=revisions[2])
    await store.write("/d", b"new", expect=revisions[3])
    await store.write("/cc", b"", expect=ABSENT)
    second = await store.list("/", at=page.revision, after="/b", limit=2)
    assert [(entry.key, entry.value) for entry in second.entries] == [("/c", b"/c"), ("/d", b"/d")]
    assert (second.remaining, second.revision) == (1, page.revision)
    third = await store.list("/", at=page.revision, after="/d", limit=2)
    assert ([entry.key for entry in third.entries], third.remaining) == (["/e"], 0)


async def test_a_page_may_begin_behind_a_key_that_is_gone_or_not_below_the_prefix(store: Store):
    await fill(store, "/b/1", "/b/3")
    assert await keys(store, "/b/", after="/b/2") == ["/b/3"]
    assert await keys(store, "/b/", after="/a") == ["/b/1", "/b/3"]
    assert await keys(store, "/b/", after="/c") == []


async def test_the_future_cannot_be_listed(store: Store):
    with pytest.raises(Future):
        await store.list("/", at=await store.revision() + 1)


async def test_watching_tells_every_change_once_in_order(store: Store):
    start = await store.revision()
    events = store.watch("/a", after=start)
    created = await store.write("/a/1", b"1", expect=ABSENT)
    await fill(store, "/b/1")
    replaced = await store.write("/a/1", b"2", expect=created)
    first = await take(events, 2)
    deleted = await store.delete("/a/1", expect=replaced)
    assert first + await take(events, 1) == [
        Event(Change.PUT, "/a/1", b"1", created), Event(Change.PUT, "/a/1", b"2", replaced, b"1"),
        Event(Change.DELETE, "/a/1", b"2", deleted)]


async def test_a_watch_resumes_behind_the_revision_that_it_is_given(store: Store):
    revisions = await fill(store, *(f"/{n:02}" for n in range(30)))
    for position in (revisions[0], revisions[14], revisions[28]):
        expected = [revision for revision in revisions if revision > position]
        assert [event.revision for event in await take(store.watch("/", after=position), len(expected))] == expected


async def test_a_watch_from_the_future_waits_for_it(store: Store):
    start = await store.revision()
    events = store.watch("/", after=start + 2)
    pending = asyncio.ensure_future(take(events, 1))
    await fill(store, "/a", "/b", "/c")
    assert [event.revision for event in await pending] == [start + 3]


async def test_a_slow_watcher_misses_nothing_though_its_buffer_overflowed(store: Store):
    events = store.watch("/", after=await store.revision())
    pending = asyncio.ensure_future(take(events, 1))
    await asyncio.sleep(0)
    revisions = await fill(store, *(f"/{n}" for n in range(40)))
    seen = await pending + await take(events, 20)
    revisions += await fill(store, *(f"/more/{n}" for n in range(40)))
    seen += await take(events, 59)
    assert [event.revision for event in seen] == revisions


async def test_a_watcher_that_compaction_overtook_gets_expired(store: Store):
    events = store.watch("/", after=await store.revision())
    pending = asyncio.ensure_future(take(events, 1))
    await asyncio.sleep(0)
    revisions = await fill(store, *(f"/{n}" for n in range(40)))
    await pending
    await store.compact(revisions[-1])
    with pytest.raises(Expired):
        await take(events, 40)


async def test_many_watchers_see_the_same_order_under_concurrent_writes(store: Store):
    start = await store.revision()
    watchers = [asyncio.ensure_future(take(store.watch("/", after=start), 200)) for _ in range(5)]

    async def writer(number: int) -> None:
        revision = None
        for _ in range(20):
            revision = await store.write(f"/{number}", b"", expect=ABSENT if revision is None else revision)

    await asyncio.gather(*(writer(number) for number in range(10)))
    for events in await asyncio.gather(*watchers):
        assert [event.revision for event in events] == list(range(start + 1, start + 201))


async def test_compaction_keeps_what_is_current_and_forgets_the_rest(store: Store):
    created = await store.write("/a", b"1", expect=ABSENT)
    replaced = await store.write("/a", b"2", expect=created)
    [gone] = await fill(store, "/b")
    deleted = await store.delete("/b", expect=gone)
    last = await store.write("/a", b"3", expect=replaced)
    await store.compact(deleted)
    assert [entry.value for entry in (await store.list("/", at=deleted)).entries] == [b"2"]
    assert [entry.value for entry in (await store.list("/")).entries] == [b"3"]
    for too_old in (replaced, gone):
        with pytest.raises(Expired) as raised:
            await store.list("/", at=too_old)
        assert raised.value.oldest == deleted
    with pytest.raises(Expired):
        await anext(store.watch("/", after=gone))
    assert await take(store.watch("/", after=deleted), 1) == [Event(Change.PUT, "/a", b"3", last, b"2")]


async def test_compacting_again_further_back_changes_nothing(store: Store):
    revisions = await fill(store, "/a", "/b", "/c")
    await store.compact(revisions[1])
    await store.compact(revisions[0])
    with pytest.raises(Expired):
        await store.list("/", at=revisions[0])


async def test_the_future_cannot_be_compacted(store: Store):
    with pytest.raises(Future):
        await store.compact(await store.revision() + 1)


async def test_revisions_go_on_after_everything_was_deleted_and_compacted(store: Store):
    [created] = await fill(store, "/a")
    deleted = await store.delete("/a", expect=created)
    await store.compact(deleted)
    assert await fill(store, "/a") == [deleted + 1]


async def test_a_closed_store_refuses_and_its_watches_end(store: Store):
    await fill(store, "/a")
    events = store.watch("/", after=0)
    await take(events, 1)
    ending = asyncio.ensure_future(anext(events, None))
    await asyncio.sleep(0)
    await store.close()
    await store.close()
    assert await asyncio.wait_for(ending, 5) is None
    for refused in (store.get("/a"), store.list("/"), store.write("/b", b"", expect=ABSENT), store.compact(1)):
        with pytest.raises(Unavailable):
            await refused


async def test_a_cancelled_writer_disturbs_nobody(store: Store):
    cancelled = asyncio.ensure_future(store.write("/a", b"", expect=ABSENT))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    revisions = await fill(store, "/b", "/c")
    assert all(later > earlier for earlier, later in pairwise(revisions))
