"""What stands at each name: records by owner and type, kept as Services come and go. Pure.

A name exists if it has records or if a name below it does: the one has no data of a type (NOERROR), the other is no
name at all (NXDOMAIN).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from timonier.node.dns.records import Record

EXISTS = 0
"""The type of a record that says nothing but that its name exists."""


class Zone:
    """Records of many contributors, each of which replaces its own at once."""

    def __init__(self) -> None:
        self._given: dict[str, set[Record]] = {}
        self._at: dict[str, dict[int, Counter[bytes]]] = {}
        self._below: Counter[str] = Counter()

    def put(self, contributor: str, records: Iterable[Record]) -> bool:
        """Replace what a contributor gave; nothing for one that is gone. Whether that changed anything."""
        old, new = self._given.get(contributor, set()), set(records)
        if old == new:
            return False
        for record in old - new:
            self._remove(record)
        for record in new - old:
            self._add(record)
        if new:
            self._given[contributor] = new
        else:
            del self._given[contributor]
        return True

    def at(self, name: str) -> Mapping[int, Iterable[bytes]] | None:
        """The data at a name by type; empty for a name that only has names below it; None if there is none."""
        found = self._at.get(name)
        if found is not None:
            return found
        return {} if self._below[name] > 0 else None

    def __len__(self) -> int:
        return len(self._at)

    def _add(self, record: Record) -> None:
        if record.name not in self._at:
            self._at[record.name] = defaultdict(Counter)
            self._below.update(ancestors(record.name))
        self._at[record.name][record.type][record.data] += 1

    def _remove(self, record: Record) -> None:
        types = self._at[record.name]
        data = types[record.type]
        data[record.data] -= 1
        if not data[record.data]:
            del data[record.data]
        if not data:
            del types[record.type]
        if not types:
            del self._at[record.name]
            for name in ancestors(record.name):
                self._below[name] -= 1
                if not self._below[name]:
                    del self._below[name]


def ancestors(name: str) -> Iterator[str]:
    """`c`, `b.c` of `a.b.c`, nearest first."""
    while "." in name:
        name = name.partition(".")[2]
        yield name
