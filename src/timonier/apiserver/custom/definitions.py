"""Follows the CustomResourceDefinitions: what they define is served, and their status says how they stand.

Which kinds are served follows the cache in the same step in which the cache follows the store, so that whoever has
seen a definition established, on whichever server, finds its kinds. Status is written beside that, a definition at a
time, and so are the objects of definitions that go removed.
"""

from __future__ import annotations

import asyncio
import logging

from timonier.api.errors import ApiError, NotFound
from timonier.api.kinds import BY_ID
from timonier.api.structural.shape import Custom
from timonier.apiserver.cache import Delta, Item
from timonier.apiserver.custom.cleanup import clean
from timonier.apiserver.custom.conditions import CLEANUP, Condition, defects, is_true, status_of
from timonier.apiserver.custom.conversion import Hooks, converter_of
from timonier.apiserver.custom.rows import rows_of, served, shapes_of
from timonier.apiserver.registry import Registry
from timonier.apiserver.request import Object

log = logging.getLogger(__name__)

DEFINITION = BY_ID["apiextensions.k8s.io/v1/CustomResourceDefinition"]
RETRY_SECONDS = 5.0
"""How long after a failure it is tried again."""


class Definitions:
    """All definitions of a cluster. `begin` before the first request is answered, `run` beside them."""

    def __init__(self, registry: Registry, hooks: Hooks) -> None:
        self.registry, self.hooks = registry, hooks
        self._shaped: dict[str, tuple[Object, Object, dict[str, Custom]]] = {}
        """By name, spec and names of what is served, and the shapes that were made of them."""
        self._judged: tuple[Object, Condition | None] = {}, None
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._cleaning: dict[str, asyncio.Task[None]] = {}

    def begin(self) -> None:
        """Serve what is defined, and from now on what will be."""
        self.registry.cache(DEFINITION).subscribe(self.take)
        self.take(None)

    def take(self, delta: Delta | None) -> None:
        """A change of the cache, which may not fail."""
        if delta is None:
            known = {item.name: item for item in self.registry.cache(DEFINITION).within()}
            for name in self._shaped.keys() - known.keys():
                self._drop(name)
            for item in known.values():
                self._serve(item)
        elif delta.after is not None:
            self._serve(delta.after)
        elif delta.before is not None:
            self._drop(delta.before.name)
        self._wake.set()

    def _serve(self, item: Item) -> None:
        definition, name = item.shared, item.name
        self._dirty.add(name)
        status = definition.get("status") or {}
        names = status.get("acceptedNames") or {}
        if not (served(definition) and names.get("plural") and names.get("kind")):
            self._drop(name)
            return
        spec, had, shapes = self._shaped.get(name) or ({}, {}, {})
        if had != names:
            self._reconsider(definition["spec"]["group"])
        if (spec, had) != (definition["spec"], names):
            shapes = shapes_of(definition)
            self._shaped[name] = definition["spec"], names, shapes
            self.registry.views.converters[name] = converter_of(definition, self.hooks)
            self.registry.views.stop(name)
        self.registry.resources.put(name, rows_of(definition, shapes))

    def _drop(self, name: str) -> None:
        if self._shaped.pop(name, None) is None:
            return
        self._reconsider(name.partition(".")[2])
        self.registry.resources.drop(name)
        self.registry.views.stop(name)
        self.registry.views.converters.pop(name, None)

    def _reconsider(self, group: str) -> None:
        """Names of a group came or went: others may have them now."""
        self._dirty |= {found["metadata"]["name"] for found in self.registry.peek_all(DEFINITION)
                        if found["spec"]["group"] == group and not is_true(found, "NamesAccepted")}

    async def run(self) -> None:
        """Write status and clean up until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                dirty, self._dirty = self._dirty, set()
                for name in sorted(dirty):
                    await self._attend(name)
        finally:
            for task in self._cleaning.values():
                task.cancel()
            await asyncio.gather(*self._cleaning.values(), return_exceptions=True)

    async def _attend(self, name: str) -> None:
        definition = self.registry.peek(DEFINITION, "", name)
        if definition is None:
            return
        try:
            if self.wanted(definition) != (definition.get("status") or {}):
                await self.registry.change(DEFINITION, "", name, self._with_status, "status")
        except NotFound:
            return
        except ApiError as error:
            log.warning("the status of a definition was not written", extra={"definition": name,
                                                                             "error": error.message})
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._again, name)
        metadata = definition["metadata"]
        if metadata.get("deletionTimestamp") and CLEANUP in (metadata.get("finalizers") or ()) \
                and name not in self._cleaning:
            task = self._cleaning[name] = asyncio.ensure_future(clean(self.registry, DEFINITION, name))
            task.add_done_callback(lambda done: self._cleaned(name, done))

    def _again(self, name: str) -> None:
        self._dirty.add(name)
        self._wake.set()

    def _cleaned(self, name: str, task: asyncio.Task[None]) -> None:
        del self._cleaning[name]
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.warning("the objects of a definition were not removed", extra={"definition": name, "error": str(error)})
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._again, name)

    def wanted(self, definition: Object) -> Object:
        """The status that a definition is to have now."""
        group = definition["spec"]["group"]
        others = [found for found in self.registry.peek_all(DEFINITION) if found["spec"]["group"] == group]
        return status_of(definition, others, self.registry.clock.now(), self._defects)

    def _defects(self, spec: Object) -> Condition | None:
        """What is wrong with a definition's schemas, asked about the same ones several times in a row."""
        if self._judged[0] != spec:
            self._judged = spec, defects(spec)
        return self._judged[1]

    def _with_status(self, definition: Object) -> Object | None:
        status = self.wanted(definition)
        return None if status == definition.get("status") else definition | {"status": status}
