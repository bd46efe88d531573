"""Keys that a JSON text gives twice, which fieldValidation=Strict refuses and Warn mentions.

Naming them parses the text a second time, and slowly; whether there can be any is seen at once by counting.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

ESCAPED_COLON = re.compile(rb"\\u003a", re.IGNORECASE)


class Pairs(list[tuple[str, Any]]):
    """An object as it was written."""


def may_repeat(text: bytes, value: Any) -> bool:
    """Whether a JSON text may give a key twice: it does where it has more colons than the value that it was read as.

    Those within strings are in both, unless the text writes one as a number.
    """
    if b"\\u003" in text and ESCAPED_COLON.search(text):
        return True
    try:
        return text.count(b":") > orjson.dumps(value).count(b":")
    except TypeError:  # numbers without end and halves of characters, which orjson does not write
        return True


def duplicates(text: bytes | str) -> list[str]:
    """`duplicate field "spec.replicas"` for every such key of a well-formed JSON text, in the order of the document."""
    try:
        return report(json.loads(text, object_pairs_hook=Pairs), "")
    except RecursionError:
        return []


def report(value: Any, path: str) -> list[str]:
    """Of a key that comes more than once the last value counts, as for whoever reads the object."""
    complaints: list[str] = []
    if isinstance(value, Pairs):
        times = Counter(key for key, _ in value)
        for key, child in dict(value).items():
            place = f"{path}.{key}" if path else key
            complaints += [f'duplicate field "{place}"'] * (times[key] > 1)
            complaints += report(child, place)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            complaints += report(child, f"{path}[{index}]")
    return complaints


def in_order(text: bytes, complaints: list[str]) -> list[str]:
    """Complaints about fields of a JSON text, in the order in which a decoder that reads it once has reason for them:
    at an unknown field when it comes first, at a duplicate one when it comes again.
    """
    met: dict[str, list[int]] = {}
    for number, path in enumerate(paths(json.loads(text, object_pairs_hook=Pairs), "")):
        met.setdefault(path, []).append(number)

    def first_reason(complaint: str) -> int:
        what, _, quoted = complaint.partition(" field ")
        return met[quoted[1:-1]][1 if what == "duplicate" else 0]
    return sorted(complaints, key=first_reason)


def paths(value: Any, path: str) -> Iterator[str]:
    """The paths of all fields, as they come."""
    if isinstance(value, Pairs):
        for key, child in value:
            place = f"{path}.{key}" if path else key
            yield place
            yield from paths(child, place)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from paths(child, f"{path}[{index}]")
