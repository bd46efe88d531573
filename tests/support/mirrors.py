"""A mirror of objects that a test fills by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T", bound=Any)


class HandMirror(Generic[T]):
    """Like an informer, without a server."""

    def __init__(self, *objects: T) -> None:
        self.synced = asyncio.Event()
        self.synced.set()
        self._objects: dict[str, T] = {}
        self._handlers: list[Callable[[T | None, T | None], None]] = []
        for each in objects:
            self.put(each)

    def get(self, key: str) -> T | None:
        return self._objects.get(key)

    def list(self) -> list[T]:
        return [*self._objects.values()]

    def on_change(self, handler: Callable[[T | None, T | None], None]) -> None:
        self._handlers.append(handler)
        for each in self._objects.values():
            handler(None, each)

    def put(self, obj: T) -> None:
        old = self._objects.get(key_of(obj))
        self._objects[key_of(obj)] = obj
        for handler in self._handlers:
            handler(old, obj)

    def remove(self, key: str) -> None:
        old = self._objects.pop(key)
        for handler in self._handlers:
            handler(old, None)


def key_of(obj: Any) -> str:
    meta = obj.metadata
    return f"{meta.namespace}/{meta.name}" if meta.namespace else str(meta.name)
