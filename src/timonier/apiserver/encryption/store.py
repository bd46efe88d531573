"""A Store whose values nobody reads from the disk, and which is otherwise the store that it wraps."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from timonier.apiserver.encryption.ciphers import SEALED, Undecipherable, label
from timonier.apiserver.encryption.config import of_key, read
from timonier.apiserver.encryption.kms import STATUS_SECONDS, Unhealthy
from timonier.apiserver.encryption.scheme import Scheme
from timonier.kit.clock import Clock, Seconds
from timonier.kit.fatal import CannotRun
from timonier.store.contract import Absent, Conflict, Entry, Event, Expired, Page, Revision, Store

log = logging.getLogger(__name__)

CHECKED = 100
"""Secrets that are read at the start, to see whether they can be read at all."""
RELOAD_SECONDS: Seconds = 10.0


async def check_readable(store: Store) -> None:
    """Raise Undecipherable where a server that was given no keys has values that need some."""
    for entry in (await store.list("/secrets/", limit=CHECKED)).entries:
        if entry.value.startswith(SEALED):
            raise Undecipherable(f"{entry.key} is encrypted ({label(entry.value)}); give the key with which it was "
                                 "written as --encryption-key-file, or --encryption-provider-config")


class EncryptedStore:
    """A Store that seals what it is given as its `scheme` says, which may be replaced at any time."""

    def __init__(self, store: Store, scheme: Scheme) -> None:
        self._store, self.scheme = store, scheme

    async def stale(self, key: str) -> bool:
        """Whether a key's value is stored otherwise than it would be written now."""
        entry = await self._store.get(key)
        return entry is not None and not self.scheme.current(key, entry.value)

    async def unseal(self, key: str, value: bytes) -> bytes:
        return value if self.scheme.is_plain(key, value) else await self.scheme.unseal(key, value)

    async def entry(self, entry: Entry) -> Entry:
        if self.scheme.is_plain(entry.key, entry.value):
            return entry
        return replace(entry, value=await self.unseal(entry.key, entry.value))

    async def revision(self) -> Revision:
        return await self._store.revision()

    async def get(self, key: str) -> Entry | None:
        entry = await self._store.get(key)
        return None if entry is None else await self.entry(entry)

    async def list(self, prefix: str, *, at: Revision | None = None, after: str | None = None,
                   limit: int | None = None) -> Page:
        page = await self._store.list(prefix, at=at, after=after, limit=limit)
        try:
            return replace(page, entries=[await self.entry(entry) for entry in page.entries])
        except Undecipherable:
            latest = await self._store.revision()
            if at is None or at >= latest:
                raise
            # A key may go once all that is current is written with another: what it leaves is history that is lost.
            raise Expired(at, latest) from None

    async def write(self, key: str, value: bytes, *, expect: Revision | Absent) -> Revision:
        try:
            return await self._store.write(key, self.scheme.seal(key, value), expect=expect)
        except Conflict as conflict:
            raise await self.told(conflict) from None

    async def delete(self, key: str, *, expect: Revision) -> Revision:
        try:
            return await self._store.delete(key, expect=expect)
        except Conflict as conflict:
            raise await self.told(conflict) from None

    async def told(self, conflict: Conflict) -> Conflict:
        """A conflict that shows the current entry as it was written."""
        if conflict.current is not None:
            conflict.current = await self.entry(conflict.current)
        return conflict

    async def watch(self, prefix: str, *, after: Revision) -> AsyncIterator[Event]:
        source = cast("Any", self._store.watch(prefix, after=after))
        async with aclosing(source) as events:
            async for event in events:
                if self.scheme.is_plain(event.key, event.value) and (
                        event.previous is None or self.scheme.is_plain(event.key, event.previous)):
                    yield event
                    continue
                yield await self.event(event, after)

    async def event(self, event: Event, after: Revision) -> Event:
        """A change as it was written. Raises Expired for one that another has superseded, and nobody can read."""
        try:
            before = None if event.previous is None else await self.unseal(event.key, event.previous)
            return replace(event, value=await self.unseal(event.key, event.value), previous=before)
        except Undecipherable:
            await self.get(event.key)  # raises, where it is not history alone
            raise Expired(after, await self._store.revision()) from None

    async def compact(self, before: Revision) -> None:
        await self._store.compact(before)

    async def close(self) -> None:
        await self._store.close()


@asynccontextmanager
async def encrypted(store: Store, key_file: Path | None, config: Path | None, clock: Clock, *,
                    reload: bool = False) -> AsyncIterator[Store]:
    """The store as settings want it: encrypted, or as it is where they name no keys. Raises CannotRun."""
    if key_file is None and config is None:
        await check_readable(store)
        yield store
        return
    wrapped = EncryptedStore(store, read(config) if config is not None else of_key(cast("Path", key_file)))
    await ready(wrapped.scheme)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(refreshed(wrapped), name="kms")]
        if reload and config is not None:
            tasks.append(group.create_task(reloaded(wrapped, config, clock), name="encryption-config"))
        try:
            yield wrapped
        finally:
            for task in tasks:
                task.cancel()
            for service in wrapped.scheme.services():
                await service.close()


async def ready(scheme: Scheme) -> None:
    """Ask the key management services for their keys. Raises CannotRun."""
    try:
        for service in scheme.services():
            await service.refresh()
    except Unhealthy as error:
        raise CannotRun(str(error)) from error


async def refreshed(store: EncryptedStore) -> None:
    """Follow the keys of the key management services."""
    while True:
        await asyncio.sleep(STATUS_SECONDS)
        for service in store.scheme.services():
            try:
                await service.refresh()
            except Unhealthy as error:
                log.warning("KMS not healthy", extra={"error": str(error)})


async def reloaded(store: EncryptedStore, config: Path, clock: Clock) -> None:
    """Take on the configuration whenever its file is another; one that cannot be used leaves the old one in place."""
    seen = digest(config)
    while True:
        await clock.sleep(RELOAD_SECONDS)
        now = digest(config)
        if now == seen:
            continue
        seen = now
        try:
            scheme = read(config)
            await ready(scheme)
        except CannotRun as error:
            log.warning("encryption configuration not reloaded", extra={"error": str(error)})
            continue
        before, store.scheme = store.scheme, scheme
        for service in before.services():
            await service.close()
        log.info("encryption configuration reloaded", extra={"file": str(config)})


def digest(file: Path) -> bytes:
    """What a file holds, in short; nothing where it cannot be read, as while it is being replaced."""
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError:
        return b""
