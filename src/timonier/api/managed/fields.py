"""Sets of fields, in the form in which they stand in managedFields (FieldsV1), and their algebra.

A set is a tree of steps (`elements`): `{"f:spec": {"f:replicas": {}}}`. A node without children is a member; one with
children is a member where it has the child `.`: a set may hold a map's entries with or without the map itself. A node
is never there for nothing, so a set without members is `{}`, and equal sets are equal dicts.

Sets are never changed once made. What the functions return may share parts with what they were given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from timonier.api.managed.elements import BadElement, canonical, order

FieldSet = dict[str, Any]
"""A set, or the node of one."""
Path = tuple[str, ...]

SELF = "."


class BadFields(Exception):
    """What is no set of fields; the message says why."""


def read(raw: Any) -> FieldSet:
    """A set that somebody else wrote, in its canonical form. Raises BadFields."""
    return {element: node for element, node in read_node(raw).items() if element != SELF}


def read_node(raw: Any) -> FieldSet:
    if raw.__class__ is not dict:
        raise BadFields(f"expected an object, got {raw!r}")
    node: FieldSet = {}
    for text, below in raw.items():
        try:
            element = SELF if text == SELF else canonical(text)
        except BadElement as error:
            raise BadFields(f"parsing key as path element: {error}") from None
        if element == SELF:
            node[SELF] = {}
        elif element is not None:
            child = read_node(below)
            node[element] = joined(node[element], child) if element in node else child
    return {} if len(node) == 1 and SELF in node else node


def member(node: FieldSet) -> bool:
    """Whether a node stands for a field of the set, and not only for what lies in one."""
    return not node or SELF in node


def marked(node: FieldSet) -> FieldSet:
    """The node as a member."""
    return node if member(node) else {SELF: {}, **node}


def children(node: FieldSet) -> FieldSet:
    """What lies below a node, without the node itself."""
    return {element: child for element, child in node.items() if element != SELF} if SELF in node else node


def node_of(is_member: bool, below: FieldSet) -> FieldSet | None:
    """A node of its parts, None where nothing is left of it."""
    if is_member:
        return {SELF: {}, **below} if below else {}
    return below or None


def union(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in either."""
    if not a or not b:
        return a or b
    result = dict(a)
    for element, node in b.items():
        result[element] = joined(result[element], node) if element in result else node
    return result


def joined(a: FieldSet, b: FieldSet) -> FieldSet:
    """The union of two nodes for the same step."""
    if a and b:
        return union(a, b)
    return marked(a or b)


def intersection(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in both."""
    few, many = (a, b) if len(a) <= len(b) else (b, a)
    result: FieldSet = {}
    for element, node in few.items():
        other = many.get(element)
        if other is None or element == SELF:
            continue
        rest = node_of(member(node) and member(other), intersection(node, other) if node and other else {})
        if rest is not None:
            result[element] = rest
    return result


def difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in `a` and not in `b`. A field stays where only what lies in it is in `b`, and the other way round."""
    return without(a, b, whole=False)


def pruned(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in `a`, and neither in `b` nor within what is in `b`."""
    return without(a, b, whole=True)


def without(a: FieldSet, b: FieldSet, *, whole: bool) -> FieldSet:
    if not a or not b:
        return a
    result = dict(a)
    for element, other in b.items():
        node = a.get(element)
        if node is None or element == SELF:
            continue
        gone = member(other)
        if not node:
            rest = None if gone else node
        elif gone and whole:
            rest = None
        else:
            rest = node_of(SELF in node and not gone, without(children(node), other, whole=whole))
        if rest is None:
            del result[element]
        else:
            result[element] = rest
    return result


def contains(fields: FieldSet, path: Path) -> bool:
    """Whether the field at a path is a member."""
    node: FieldSet | None = fields
    for element in path:
        node = node.get(element) if node else None
        if node is None:
            return False
    return bool(path) and node is not None and member(node)


def covers(a: FieldSet, b: FieldSet) -> bool:
    """Whether everything in `b` is in `a`."""
    for element, node in b.items():
        other = a.get(element)
        if other is None or (other and node and not covers(other, node)):
            return False
        if (not node and not member(other)) or (node and not other):
            return False
    return True


def of(*paths: Path) -> FieldSet:
    """The set of these paths."""
    result: FieldSet = {}
    for path in paths:
        node: FieldSet = {}
        for element in reversed(path):
            node = {element: node}
        result = union(result, node)
    return result


def paths(fields: FieldSet, start: Path = ()) -> Iterator[Path]:
    """Every member, in Kubernetes's order: the members of a level, and then what lies below each step."""
    steps = sorted((element for element in fields if element != SELF), key=order)
    yield from ((*start, element) for element in steps if member(fields[element]))
    for element in steps:
        yield from paths(fields[element], (*start, element))
