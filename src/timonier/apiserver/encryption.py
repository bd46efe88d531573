"""Secrets at rest: a store that encrypts the values of some keys, and is otherwise the store that it wraps.

AES-256-GCM with a random nonce for each value; the key under which a value is stored is authenticated with it, so that
one Secret's value cannot be put in the place of another's. Values that were written before there was a key are read as
they are.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from timonier.kit.fatal import CannotRun, needed
from timonier.store.contract import Absent, Conflict, Entry, Event, Page, Revision, Store, StoreError

if TYPE_CHECKING:
    from pathlib import Path

MARK = b"aesgcm:1:"
"""How an encrypted value begins. Objects begin with a brace."""
NONCE = 12
KEY_BYTES = 32
PREFIXES = ("/secrets/",)
CHECKED = 100
"""Values of each prefix that are read at the start, to see whether the key is the right one."""


class Undecipherable(CannotRun, StoreError):
    """A value that this key did not encrypt, or that was changed on disk."""


def read_key(file: Path) -> bytes:
    """The key of a file. Raises CannotRun where it is not one."""
    with needed("cannot read the encryption key"):
        key = file.read_bytes()
    if len(key) != KEY_BYTES:
        raise CannotRun(f"{file}: an encryption key has {KEY_BYTES} bytes, this file has {len(key)}")
    return key


async def check_readable(store: Store) -> None:
    """Raise Undecipherable where the store has values that need another key, or one where it was given none."""
    for prefix in PREFIXES:
        page = await store.list(prefix, limit=CHECKED)
        if any(entry.value.startswith(MARK) for entry in page.entries):
            raise Undecipherable(f"values below {prefix} are encrypted; give the key with which they were written as "
                                 "--encryption-key-file")


class EncryptedStore:
    """A Store whose values under PREFIXES nobody reads from the disk."""

    def __init__(self, store: Store, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._store, self._cipher = store, AESGCM(key)

    def seal(self, key: str, value: bytes) -> bytes:
        if not key.startswith(PREFIXES):
            return value
        nonce = os.urandom(NONCE)
        return MARK + nonce + self._cipher.encrypt(nonce, value, key.encode())

    def unseal(self, key: str, value: bytes) -> bytes:
        if not value.startswith(MARK):
            return value
        from cryptography.exceptions import InvalidTag

        nonce, sealed = value[len(MARK):len(MARK) + NONCE], value[len(MARK) + NONCE:]
        try:
            return self._cipher.decrypt(nonce, sealed, key.encode())
        except InvalidTag:
            raise Undecipherable(f"{key} was not encrypted with this server's key, or was changed; give the key with "
                                 "which it was written as --encryption-key-file") from None

    def entry(self, entry: Entry) -> Entry:
        return replace(entry, value=self.unseal(entry.key, entry.value))

    async def revision(self) -> Revision:
        return await self._store.revision()

    async def get(self, key: str) -> Entry | None:
        entry = await self._store.get(key)
        return None if entry is None else self.entry(entry)

    async def list(self, prefix: str, *, at: Revision | None = None, after: str | None = None,
                   limit: int | None = None) -> Page:
        page = await self._store.list(prefix, at=at, after=after, limit=limit)
        return replace(page, entries=[self.entry(entry) for entry in page.entries])

    async def write(self, key: str, value: bytes, *, expect: Revision | Absent) -> Revision:
        try:
            return await self._store.write(key, self.seal(key, value), expect=expect)
        except Conflict as conflict:
            raise self.told(conflict) from None

    async def delete(self, key: str, *, expect: Revision) -> Revision:
        try:
            return await self._store.delete(key, expect=expect)
        except Conflict as conflict:
            raise self.told(conflict) from None

    def told(self, conflict: Conflict) -> Conflict:
        """A conflict that shows the current entry as it was written."""
        if conflict.current is not None:
            conflict.current = self.entry(conflict.current)
        return conflict

    async def watch(self, prefix: str, *, after: Revision) -> AsyncIterator[Event]:
        source = cast("Any", self._store.watch(prefix, after=after))
        async with aclosing(source) as events:
            async for event in events:
                if not event.key.startswith(PREFIXES):
                    yield event
                    continue
                before = None if event.previous is None else self.unseal(event.key, event.previous)
                yield replace(event, value=self.unseal(event.key, event.value), previous=before)

    async def compact(self, before: Revision) -> None:
        await self._store.compact(before)

    async def close(self) -> None:
        await self._store.close()
