"""What can be said against literals before anything runs: durations, moments and patterns that cannot be read, mixed
lists.

Lists and maps hold values of one type, unless they are what `format` fills its template with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from timonier.api.cel.moments import parse_duration, parse_timestamp, timestamp
from timonier.api.cel.syntax import Call, ListOf, Literal, MapOf, Node, Problem, walk
from timonier.api.cel.types import Type, unwrapped
from timonier.api.cel.values import SECOND, Failure, Timestamp
from timonier.api.patterns import compiled


def moment(value: str | int) -> Timestamp:
    return parse_timestamp(value) if isinstance(value, str) else timestamp(value * SECOND)


READ: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "duration": (0, parse_duration), "timestamp": (0, moment), "matches": (1, compiled)}
"""By function: which argument is read, and how."""


def validate(tree: Node) -> list[Problem]:
    """Problems of a checked tree."""
    calls = (node for node in walk(tree) if isinstance(node, Call))
    return [*(problem for call in calls for problem in unreadable(call)), *mixed(tree)]


def unreadable(node: Call) -> Iterator[Problem]:
    if node.function not in READ:
        return
    index, read = READ[node.function]
    argument = node.operands()[index]
    if isinstance(argument, Literal):
        try:
            read(argument.value)
        except (ValueError, Failure):
            yield Problem(argument.at, f"invalid {node.function} argument")


def mixed(node: Node) -> Iterator[Problem]:
    if isinstance(node, Call) and node.function == "format":
        return
    if isinstance(node, ListOf):
        yield from differing(node.elements, [index in node.optional for index in range(len(node.elements))])
    elif isinstance(node, MapOf):
        yield from differing([entry.key for entry in node.entries], [False] * len(node.entries))
        yield from differing([entry.value for entry in node.entries], [entry.optional for entry in node.entries])
    for child in node.children():
        yield from mixed(child)


def differing(nodes: list[Node], optional: list[bool]) -> Iterator[Problem]:
    """The first of several parts whose type is not that of the first."""
    first: Type | None = None
    for node, opened in zip(nodes, optional, strict=True):
        kind = unwrapped(node.type)[0] if opened else node.type
        if first is None:
            first = kind
        elif not alike(first, kind):
            yield Problem(node.at, f"expected type '{first}' but found '{kind}'")
            return


def alike(one: Type, other: Type) -> bool:
    """Whether two types are the same but for what is not known of their parameters."""
    return one.name == other.name and all(map(alike, one.parameters, other.parameters))
