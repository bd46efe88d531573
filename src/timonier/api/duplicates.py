"""Keys that a JSON text gives twice, which fieldValidation=Strict refuses and Warn mentions.

Naming them parses the text a second time, and slowly; whether there can be any is seen at once by counting.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

ESCAPED_COLON = re.compile(rb"\\u003a", re.IGNORECASE)


class Map(dict[str, Any]):
    """An object as it was written, with the keys that came more than once."""

    repeated: list[str]


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
        return report(json.loads(text, object_pairs_hook=gather), "")
    except RecursionError:
        return []


def gather(pairs: list[tuple[str, Any]]) -> Map:
    found = Map(pairs)
    seen: set[str] = set()
    found.repeated = []
    for key, _ in pairs:
        if key in seen and key not in found.repeated:
            found.repeated.append(key)
        seen.add(key)
    return found


def report(value: Any, path: str) -> list[str]:
    complaints: list[str] = []
    if isinstance(value, Map):
        for key, child in value.items():
            place = f"{path}.{key}" if path else key
            complaints += [f'duplicate field "{place}"'] * (key in value.repeated)
            complaints += report(child, place)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            complaints += report(child, f"{path}[{index}]")
    return complaints
