"""Keys that a JSON text gives twice, which fieldValidation=Strict refuses and Warn mentions.

It parses the text a second time and slowly; ask only when asked.
"""

from __future__ import annotations

import json
from typing import Any


class Map(dict[str, Any]):
    """An object as it was written, with the keys that came more than once."""

    repeated: list[str]


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
