"""Resources: every kind that the server serves now, the built-in ones and those that were defined since.

The table of `api.kinds` is what there is from the start. Whoever defines more (custom resource definitions) puts rows
here under its own name, and takes them away with it. What derives from the kinds (routes, discovery, OpenAPI) asks
here, and compares `changes` to know whether what it derived is still right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from timonier.api.kinds import BY_ID, BY_PATH, KINDS, Kind
from timonier.apiserver.request import RequestInfo


class Resources:
    """The kinds by path and by id. Built-in ones are never hidden by others."""

    def __init__(self) -> None:
        self.changes = 0
        """A number that grows whenever a kind comes, goes or becomes another."""
        self._by_path = dict(BY_PATH)
        self._stored = dict(BY_ID)
        self._owned: dict[str, tuple[Kind, ...]] = {}
        self._views = by_prefix(KINDS)

    def __iter__(self) -> Iterator[Kind]:
        """The kinds that are served: the built-in ones in the order of their table, then the others by owner."""
        yield from KINDS
        for owner in sorted(self._owned):
            yield from (kind for kind in self._owned[owner] if kind.served)

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind that a path names."""
        return self._by_path.get((group, version, plural))

    def of(self, info: RequestInfo) -> Kind | None:
        """The kind that a request is about."""
        return self._by_path.get((info.group, info.version, info.resource)) if info.is_resource else None

    def find(self, apiVersion: str, name: str) -> Kind | None:
        """The kind of an object's `apiVersion` and `kind`, where it is served."""
        found = self._stored.get(f"{apiVersion}/{name}")
        return found if found is not None and found.served else None

    def stored(self, kind: Kind) -> Kind:
        """The row of the version in which objects of a kind are judged and written.

        Custom kinds are judged by their own version and converted at the door of the store (`apiserver.views`).
        """
        return kind if kind.custom is not None else self._stored[kind.stored_id]

    def views(self, kind: Kind) -> tuple[Kind, ...]:
        """The other kinds by which the objects of a kind are served: other versions, cohabiting groups."""
        return tuple(other for other in self._views.get(kind.prefix, ()) if other.id != kind.id)

    def put(self, owner: str, kinds: Iterable[Kind]) -> None:
        """Serve the kinds of an owner instead of those that it had. Rows with `served=False` are for storage alone."""
        rows = tuple(kind for kind in kinds if (kind.group, kind.version, kind.plural) not in BY_PATH)
        if self._owned.get(owner) != rows:
            self._owned[owner] = rows
            self._derive()

    def drop(self, owner: str) -> None:
        """Serve the kinds of an owner no longer."""
        if self._owned.pop(owner, None) is not None:
            self._derive()

    def _derive(self) -> None:
        others = [kind for owner in sorted(self._owned) for kind in self._owned[owner]]
        self._by_path = BY_PATH | {(kind.group, kind.version, kind.plural): kind for kind in others if kind.served}
        self._stored = {kind.id: kind for kind in others} | BY_ID
        self._views = by_prefix(self)
        self.changes += 1


def by_prefix(kinds: Iterable[Kind]) -> dict[str, list[Kind]]:
    """Kinds by where their objects lie in the store."""
    found: dict[str, list[Kind]] = {}
    for kind in kinds:
        found.setdefault(kind.prefix, []).append(kind)
    return found
