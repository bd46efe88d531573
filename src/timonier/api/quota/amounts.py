"""Arithmetic on resource lists: quantities by name. Sums keep the format of what was summed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from timonier.api.quantity import NANO, read, write

Amounts = Mapping[str, str]
"""Quantities by resource name."""


def plus(first: str, second: str) -> str:
    """The sum; a zero takes the format of what is added to it."""
    (one, style), (other, other_style) = read(first), read(second)
    return write(one + other, style if one else other_style)


def minus(first: str, second: str) -> str:
    """The difference, and zero where it would be less."""
    (one, style), (other, _) = read(first), read(second)
    return write(max(one - other, 0), style)


def larger(first: str, second: str) -> str:
    return first if read(first)[0] >= read(second)[0] else second


def number(count: int) -> str:
    return write(count * NANO, "decimal")


def added(first: Amounts, second: Amounts) -> dict[str, str]:
    """Both, the sum where a name is in both."""
    result = dict(first)
    for name, amount in second.items():
        result[name] = plus(result[name], amount) if name in result else amount
    return result


def maximum(first: Amounts, second: Amounts) -> dict[str, str]:
    """The larger of each."""
    result = dict(first)
    for name, amount in second.items():
        result[name] = larger(result[name], amount) if name in result else amount
    return result


def increase(new: Amounts, old: Amounts) -> dict[str, str]:
    """What is more than before, and never less than nothing."""
    return {name: minus(amount, old[name]) if name in old else amount for name, amount in new.items()}


def only(amounts: Amounts, names: Iterable[str]) -> dict[str, str]:
    wanted = set(names)
    return {name: amount for name, amount in amounts.items() if name in wanted}


def without_zeros(amounts: Amounts) -> dict[str, str]:
    return {name: amount for name, amount in amounts.items() if read(amount)[0]}


def beyond(amounts: Amounts, limits: Amounts) -> list[str]:
    """Names of what is more than its limit."""
    return [name for name, amount in amounts.items() if name in limits and read(amount)[0] > read(limits[name])[0]]


def negative(amounts: Amounts) -> list[str]:
    return sorted(name for name, amount in amounts.items() if read(amount)[0] < 0)


def same(first: Amounts, second: Amounts) -> bool:
    """Whether both say the same, in whatever format."""
    return first.keys() == second.keys() and all(read(first[name])[0] == read(second[name])[0] for name in first)


def told(amounts: Amounts) -> str:
    """`cpu=1,pods=2`, as messages have it."""
    return ",".join(f"{name}={amounts[name]}" for name in sorted(amounts))
