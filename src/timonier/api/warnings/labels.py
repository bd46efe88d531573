"""Labels of nodes and amounts of bytes: what is said of them wherever they occur."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from timonier.api import names, quantity

Obj = dict[str, Any]

DEPRECATED = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}
BYTES = ("memory", "ephemeral-storage")


def in_selector(selector: Mapping[str, str], path: str) -> Iterator[str]:
    for key in selector:
        if key in DEPRECATED:
            yield f"{path}[{key}]: {DEPRECATED[key]}"


def in_terms(terms: list[Obj], path: str) -> Iterator[str]:
    for index, term in enumerate(terms):
        yield from in_term(term, f"{path}[{index}]")


def in_term(term: Obj, path: str) -> Iterator[str]:
    for index, rule in enumerate(term.get("matchExpressions", ())):
        at, key = f"{path}.matchExpressions[{index}]", rule.get("key", "")
        if key in DEPRECATED:
            yield f"{at}.key: {key} is {DEPRECATED[key]}"
        for place, value in enumerate(rule.get("values", ())):
            for text in names.label_value(value):
                yield f"{at}.values[{place}]: {value} is invalid, {text}"


def fractions(amounts: Mapping[str, str], path: str, which: tuple[str, ...] = BYTES) -> Iterator[str]:
    """Bytes come whole."""
    for name in which:
        value = amounts.get(name)
        if value is not None and quantity.read(value)[0] % quantity.NANO:
            yield f'{path}[{name}]: fractional byte value "{value}" is invalid, must be an integer'
