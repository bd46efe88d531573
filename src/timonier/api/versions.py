"""The order of versions: `v2, v1, v2beta1, v1beta2, v1alpha1`, and whatever is called otherwise, by name.

Source: Kubernetes documentation, "Versions in CustomResourceDefinitions", "Version priority".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cmp_to_key

FORM = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?", re.ASCII)
STAGES = {"alpha": 0, "beta": 1, None: 2}


def weight(version: str) -> tuple[int, int, int, int]:
    """Orders versions by how stable and how new they are; those of another form come below all others."""
    found = FORM.fullmatch(version)
    if found is None:
        return (0, 0, 0, 0)
    return (1, STAGES[found[2]], int(found[1]), int(found[3] or 0))


def compare(one: str, other: str) -> int:
    """Positive where the first comes before the other."""
    ours, theirs = weight(one), weight(other)
    if ours != theirs:
        return 1 if ours > theirs else -1
    return (other > one) - (other < one)


def newest_first(versions: Iterable[str]) -> list[str]:
    return sorted(versions, key=cmp_to_key(compare), reverse=True)


def older(one: str, other: str) -> bool:
    """Whether another version is to be preferred."""
    return compare(one, other) < 0
