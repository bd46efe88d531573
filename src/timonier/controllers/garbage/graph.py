"""The graph of ownership, by uid. Pure: told what changed, it says who is concerned; asked about one, what to do.

An owner counts as absent here only as far as the mirrors show; that it is so is confirmed before anything is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from timonier.api.kinds import Kind
from timonier.api.types import meta_v1

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


@dataclass(frozen=True, slots=True)
class Item:
    """An object as far as ownership goes."""

    kind: Kind
    meta: meta_v1.ObjectMeta

    @property
    def deleting(self) -> bool:
        return bool(self.meta.deletionTimestamp)

    def holds(self, finalizer: str) -> bool:
        return self.deleting and finalizer in self.meta.finalizers


class Fate(Enum):
    """What an object's ownership says should become of it."""

    STAY = "stay"
    RELEASE = "release"
    """Some owners are gone or going, others are not: forget the former."""
    DELETE = "delete"
    ORPHAN_DEPENDENTS = "orphan"
    FINISH = "finish"
    """It waited for its dependents, and they are gone."""


@dataclass(frozen=True, slots=True)
class Verdict:
    fate: Fate
    absent: tuple[meta_v1.OwnerReference, ...] = ()
    """Owners that have to be gone for this to hold."""
    keep: tuple[meta_v1.OwnerReference, ...] = ()
    """For RELEASE: the owners that stay."""
    foreground: bool = False
    """For DELETE: its own dependents go first, as its owner waits for them."""


@dataclass
class Graph:
    """Objects by uid, and the uids of what each owns; an owner need not be known itself."""

    items: dict[str, Item] = field(default_factory=dict)
    owned: dict[str, set[str]] = field(default_factory=dict)

    def change(self, kind: Kind, old: meta_v1.ObjectMeta | None, new: meta_v1.ObjectMeta | None) -> Iterator[str]:
        """Take in a change; the uids of those whom it concerns."""
        if old is not None and (new is None or new.uid != old.uid):
            yield from self._remove(old)
            old = None
        if new is not None:
            yield from self._put(Item(kind, new), old)

    def dependents(self, uid: str) -> list[Item]:
        return [self.items[each] for each in self.owned.get(uid, ()) if each in self.items]

    def judge(self, item: Item) -> Verdict:
        """What should become of an object."""
        if item.holds(ORPHAN):
            return Verdict(Fate.ORPHAN_DEPENDENTS)
        if item.holds(FOREGROUND):
            return Verdict(Fate.STAY if self.blockers(item) and not self.circular(item) else Fate.FINISH)
        if item.deleting or not item.meta.ownerReferences:
            return Verdict(Fate.STAY)
        absent, waiting, solid = self._sort_owners(item)
        if solid:
            return Verdict(Fate.RELEASE, (*absent,), (*solid,)) if absent or waiting else Verdict(Fate.STAY)
        return Verdict(Fate.DELETE, (*absent,), foreground=bool(waiting and self.dependents(item.meta.uid)))

    def blockers(self, item: Item) -> list[Item]:
        """The dependents that an object which is deleted in the foreground waits for."""
        uid = item.meta.uid
        return [each for each in self.dependents(uid)
                if any(owner.uid == uid and owner.blockOwnerDeletion for owner in each.meta.ownerReferences)]

    def circular(self, item: Item) -> bool:
        """Whether all that an object waits for is being deleted in the foreground too, and waits for it in the end."""
        met: set[str] = set()
        asked = [item]
        while asked:
            each = asked.pop()
            blockers = self.blockers(each) if each.holds(FOREGROUND) else []
            if not blockers:
                return False
            asked += [other for other in blockers if other.meta.uid not in met]
            met.update(other.meta.uid for other in blockers)
        return item.meta.uid in met

    def _sort_owners(self, item: Item) -> tuple[list[meta_v1.OwnerReference], ...]:
        absent, waiting, solid = [], [], []
        for reference in item.meta.ownerReferences:
            owner = self.items.get(reference.uid)
            if owner is None or not within_reach(item, owner):
                absent.append(reference)
            elif owner.holds(FOREGROUND):
                waiting.append(reference)
            else:
                solid.append(reference)
        return absent, waiting, solid

    def _put(self, item: Item, old: meta_v1.ObjectMeta | None) -> Iterator[str]:
        uid = item.meta.uid
        self.items[uid] = item
        before, after = owners(old), owners(item.meta)
        for owner in before - after:
            self._disown(owner, uid)
            yield owner
        for owner in after - before:
            self.owned.setdefault(owner, set()).add(uid)
        if after or item.deleting:
            yield uid
        if item.deleting:
            yield from self.owned.get(uid, ())
            yield from after

    def _remove(self, meta: meta_v1.ObjectMeta) -> Iterator[str]:
        self.items.pop(meta.uid, None)
        for owner in owners(meta):
            self._disown(owner, meta.uid)
            yield owner
        yield from self.owned.get(meta.uid, ())

    def _disown(self, owner: str, uid: str) -> None:
        owned = self.owned.get(owner, set())
        owned.discard(uid)
        if not owned:
            self.owned.pop(owner, None)


def owners(meta: meta_v1.ObjectMeta | None) -> set[str]:
    return {reference.uid for reference in meta.ownerReferences} if meta is not None else set()


def within_reach(item: Item, owner: Item) -> bool:
    """An owner is of the object's own namespace, or of none; any other reference names nobody."""
    return not owner.kind.namespaced or owner.meta.namespace == item.meta.namespace


def without(references: Iterable[meta_v1.OwnerReference], uid: str) -> list[meta_v1.OwnerReference]:
    return [each for each in references if each.uid != uid]
