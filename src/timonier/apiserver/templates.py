"""Pods of one template: what is found out about the first two of them is not found out again for the next.

Controllers make pods by the hundred, all with one spec. What defaults write into it, who manages its fields, whether it
is sound and what it is never without follows from its bytes alone, so the specs of late are remembered by their bytes.
Metadata and status, which differ, are looked at each time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from timonier.api import names
from timonier.api.kinds import BY_ID, Kind
from timonier.api.managed.elements import FIELD
from timonier.api.managed.fields import FieldSet
from timonier.api.patches.clone import clone

Object = dict[str, Any]
T = TypeVar("T")
Key = bytes | None
"""None for what is not to be remembered."""

POD = BY_ID["v1/Pod"]
SPEC = FIELD + "spec"
MOST = 64
LONGEST = 8 * 1024
"""Specs that are remembered, and bytes of each: as Python values they take some ten times as much."""


class Late(Generic[T]):
    """What was found out about the last few keys that came twice; of those that came once only the key is kept."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.known: OrderedDict[bytes, T | None] = OrderedDict()

    def get(self, key: Key) -> T | None:
        found = None if key is None else self.known.get(key)
        if found is not None:
            assert key is not None
            self.known.move_to_end(key)
        return found

    def learn(self, key: Key, find_out: Callable[[], T]) -> None:
        if key is None:
            return
        self.known[key] = find_out() if key in self.known else None
        self.known.move_to_end(key)
        if len(self.known) > self.most:
            self.known.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Given:
    """A spec that somebody sent, as it is when admission gets it."""

    data: bytes
    fields: FieldSet
    """What its sender manages of it. Never changed."""

    @classmethod
    def of(cls, spec: Object, fields: FieldSet) -> Given:
        """Of what the sender manages of the whole object."""
        return cls(orjson.dumps(spec), clone(fields.get(SPEC, {})))

    @property
    def spec(self) -> Object:
        """The spec, for whoever wants to change it."""
        found: Object = orjson.loads(self.data)
        return found


@dataclass(frozen=True, slots=True)
class Draft:
    """The spec of a new object: by what `Given` is found, and what was found already."""

    key: Key = None
    known: Given | None = None

    @classmethod
    def of(cls, kind: Kind, value: Object, given: Late[Given]) -> Draft:
        """Of a new object as it was sent, which nobody has looked at."""
        key = short(value["spec"]) if kind is POD and value.get("spec") else None
        return cls(key, given.get(key))


NO_DRAFT = Draft()


def sound_key(kind: Kind, obj: Object) -> Key:
    """By what the spec of a new object is known that admission has changed, and that nobody is warned of.

    Annotations have a say in what is right, and a name that is no label is warned of.
    """
    metadata = obj["metadata"]
    if kind is not POD or names.plain_label(metadata.get("name", "")):
        return None
    return short((metadata.get("annotations"), obj["spec"]))


def stands_alone(spec: Object) -> bool:
    """Whether a spec is right for pods of any name: there are no claims that are called after them."""
    return not any("ephemeral" in volume for volume in spec.get("volumes", ()))


def short(value: Any) -> Key:
    """The bytes of a value, if there are not too many."""
    try:
        data = orjson.dumps(value)
    except TypeError:  # a number or a letter that only Go's decoder takes
        return None
    return data if len(data) <= LONGEST else None
