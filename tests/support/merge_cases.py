"""What structured-merge-diff, the library that Kubernetes merges with, publishes about itself, as an oracle for ours.

Its schemas (YAML with `types`) become our types, its helpers for paths and sets our steps and sets, and its fixtures
our operations. The files come from Debian's package of it; `python -m support.merge_cases` fetches it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from support.debian import package
from support.go_tables import Call, Literal, Name, Source

from timonier.api.managed import conform, elements, fields, operations
from timonier.api.managed.fields import FieldSet
from timonier.api.managed.managers import Manager, Managers
from timonier.api.managed.operations import Conflicts, Door, InVersion, View
from timonier.api.managed.types import ATOMIC, DEDUCED, ListOf, MapOf, Type

PACKAGE = "golang-k8s-sigs-structured-merge-diff-v6-dev"
TIME = "2026-01-01T00:00:00Z"


def folder() -> Path:
    """Where the library's files lie."""
    return package(PACKAGE) / "usr/share/gocode/src/sigs.k8s.io/structured-merge-diff/v6"


@cache
def source(file: str) -> Source:
    return Source.of(folder() / file)


@cache
def published_types(file: str) -> dict[str, Type]:
    """The types of a schema in the library's test data."""
    return types_of((folder() / "internal/testdata" / file).read_text())


def published(file: str) -> Any:
    """An object in the library's test data."""
    return load((folder() / "internal/testdata" / file).read_text())


# Schemas.

@cache
def types_of(text: str) -> dict[str, Type]:
    """The types of a schema by name."""
    definitions = {node["name"]: node for node in yaml.load(text, yaml.CSafeLoader)["types"]}
    made: dict[str, Type] = {"__untyped_atomic_": ATOMIC, "__untyped_deduced_": DEDUCED}

    def named(name: str) -> Type:
        if name not in made:
            made[name] = Type(loose=True)
            fill(made[name], definitions[name])
        return made[name]

    def fill(target: Type, node: dict[str, Any]) -> None:
        target.scalar = node.get("scalar") or ""
        if "map" in node:
            mapping = node["map"]
            target.map = MapOf(values=referred(mapping.get("elementType")),
                               atomic=mapping.get("elementRelationship") == "atomic")
            for child in mapping.get("fields") or ():
                below = referred(child["type"])
                assert below is not None
                target.map.put(child["name"], below)
        if "list" in node:
            target.list = listed(node["list"])

    def listed(node: dict[str, Any]) -> ListOf:
        items = referred(node["elementType"])
        assert items is not None
        if node["elementRelationship"] == "atomic":
            return ListOf(items)
        keys = tuple(sorted(node.get("keys") or ()))
        item = node["elementType"]
        told = item if "map" in item else definitions.get(item.get("namedType"), {})
        defaults = {child["name"]: child["default"] for child in told.get("map", {}).get("fields") or ()
                    if child["name"] in keys and child.get("default") is not None}
        return ListOf(items, False, keys, defaults)

    def referred(node: dict[str, Any] | None) -> Type | None:
        if not node:
            return None
        target = named(node["namedType"]) if "namedType" in node else Type(loose=True)
        if "namedType" not in node:
            fill(target, node)
        if how := node.get("elementRelationship"):
            target = overridden(target, how == "atomic")
        return target

    def overridden(target: Type, atomic: bool) -> Type:
        mapping = replace(target.map, atomic=atomic) if target.map else None
        return Type(mapping, target.scalar, replace(target.list, atomic=atomic) if target.list else None, loose=True)

    for name in definitions:
        named(name)
    return made


def load(told: Any) -> Any:
    """An object in YAML as Go's tests write it: indented by tabs, as deep as the code around it."""
    text = formatted(told)
    lines = [line for line in text.split("\n") if line.strip()]
    depth = len(lines[0]) - len(lines[0].lstrip("\t")) if lines else 0
    documents = yaml.load_all(textwrap.dedent("\n".join(line[depth:] for line in lines)), yaml.CSafeLoader)
    return next(documents, None)  # Go does not look for what comes after the first


def formatted(told: Any) -> str:
    """A text, or what puts names of versions into one: `typed.YAMLObject(fmt.Sprintf("…%s", v1))`."""
    if not isinstance(told, Call):
        text: str = told
        return text
    first, *rest = told.arguments
    for name in rest:
        first = first.replace("%s", plain(name), 1)
    return formatted(first)


# Values in tables.

def path_of(call: Call) -> tuple[str, ...]:
    """`_P("list", _KBF("name", "a"), "value")` as steps."""
    return tuple(map(step_of, call.arguments))


def step_of(part: Any) -> str:
    if isinstance(part, str):
        return elements.FIELD + part
    if isinstance(part, Call) and part.function == "fmt.Sprintf":
        return elements.FIELD + formatted(part)
    if isinstance(part, int):
        return f"{elements.INDEX}{part}"
    assert isinstance(part, Call)
    match part.function.rpartition(".")[2]:
        case "_KBF" | "KeyByFields":
            keys = dict(zip(part.arguments[::2], map(plain, part.arguments[1::2]), strict=True))
            return elements.keyed(tuple(sorted(keys)), *[keys[name] for name in sorted(keys)])
        case "_V" | "NewValueInterface":
            return elements.valued(plain(part.arguments[0]))
    raise LookupError(part.function)


def plain(value: Any) -> Any:
    """A scalar. Constants are called after their value."""
    return value.arguments[0] if isinstance(value, Call) else value.text if isinstance(value, Name) else value


def set_of(value: Any) -> FieldSet:
    """`_NS(_P(…), …)` as a set."""
    return fields.of(*map(path_of, value.arguments)) if value is not None else {}


def text_of(value: Any, here: Source) -> str:
    """A text, a variable that holds one, a conversion of either, or a function that puts its argument into one."""
    if isinstance(value, Name):
        return text_of(next(found for name, found, _ in here.assigned() if name == value.text), here)
    if not isinstance(value, Call):
        text: str = value
        return text
    body = next((here.tokens[start:end] for name, start, end in here.functions() if name == value.function), None)
    if body is None:
        return text_of(value.arguments[0], here)
    return next(token.text[1:-1] for token in body if token.text.startswith("`")).replace("%s", value.arguments[0])


# Fixtures: sequences of operations.

@dataclass
class Parser:
    """The types of a fixture: one, or one for each version."""

    types: dict[str, Type]
    one: str = ""

    def of(self, version: str) -> Type:
        return self.types[self.one or version]


def parsers(file: str) -> dict[str, Parser]:
    """The parsers that a file of tests defines."""
    found = {"DeducedParser": Parser({"__untyped_deduced_": DEDUCED}, "__untyped_deduced_")}
    tokens = source(file).tokens
    for at, token in enumerate(tokens[:-4]):
        if token.text == "var" and [one.text for one in tokens[at + 2:at + 4]] == ["=", "func"]:
            body = at + 4
            while tokens[body].text != "{":
                body += 1
            inside = tokens[body:source(file).closing(body)]
            schema = next((one.text[1:-1] for one in inside if one.text[1:].lstrip().startswith("types:")), None)
            if schema is not None:
                types = [inside[index + 2].text[1:-1] for index, one in enumerate(inside)
                         if one.text == "Type" and inside[index + 2].kind == "text"]
                found[tokens[at + 1].text] = Parser(types_of(schema), types[0] if types else "")
    return found


@dataclass
class Case:
    """A fixture: operations, and what is to come of them."""

    name: str
    parser: Parser
    literal: Literal
    parsers: dict[str, Parser]
    converter: str
    must_fail: bool = False


def cases(file: str) -> Iterator[Case]:
    """The fixtures of a file, but for those with converters that are programs of their own."""
    here, known = source(file), {name: parser for other in (folder() / "merge").glob("*_test.go")
                                 for name, parser in parsers(f"merge/{other.name}").items()}
    for function, start, end in here.functions():
        for bound in in_versions(here, start):
            for name, value, after in bound.assigned(start, end):
                if not isinstance(value, Literal) or not value.type.endswith("TestCase"):
                    continue
                used, converter, fails = usage(bound, after, end)
                if used not in known or converter not in CONVERTERS:
                    continue
                rows = value.entries if name == "tests" else [("", value)]
                for title, row in rows:
                    yield Case(f"{function}/{title}", known[used], row, known, converter, fails)


def in_versions(here: Source, body: int) -> Iterator[Source]:
    """A file for each choice of the versions that the function whose body begins at a place takes as arguments."""
    signature = [token.text for token in here.tokens[max(0, body - 16):body]]
    if signature[-2:] != ["APIVersion", ")"]:
        yield here
        return
    for first, second, third in product(("v1", "v2", "v3"), repeat=3):
        yield here.bound({"v1": first, "v2": second, "v3": third})


def usage(here: Source, at: int, end: int) -> tuple[str, str, bool]:
    """The parser and the converter with which the fixtures before a place are run, and whether they are to fail."""
    texts = [token.text for token in here.tokens[at:end]]
    converter = next((text for text in texts if text.endswith("Converter") and text != "TestWithConverter"), "")
    for place, text in enumerate(texts):
        if text in ("Test", "TestWithConverter") and texts[place - 1] == ".":
            fails = texts[place + 4] == "=" and texts[place + 6] == "nil"
            return texts[place + 2], converter if text == "TestWithConverter" else "", fails
    return "", "", False


def repeated(value: Any, times: int) -> Any:
    """Maps within maps whose one-letter keys are repeated as often as the version's number says."""
    return {name[0] * times: repeated(child, times) for name, child in sorted(value.items())} if value else value


def renamed(value: Any, old: str, new: str) -> Any:
    """The value with the old version at the end of field names replaced by the new one."""
    if isinstance(value, dict):
        return {name.removesuffix(old) + new if name.endswith(old) else name: renamed(child, old, new)
                for name, child in value.items()}
    return [renamed(child, old, new) for child in value] if isinstance(value, list) else value


def repeating(value: Any, old: str, new: str) -> Any:
    return value and {name: repeated(child, int(new[1:])) for name, child in value.items()}


CONVERTERS: dict[str, Callable[[Any, str, str], Any]] = {
    "": lambda value, old, new: value, "repeatingConverter": repeating, "renamingConverter": renamed}
VERSION = re.compile(r"v\d+")


class Refused(Exception):
    """An object that is not of its type, or conflicts that are not those that were expected."""


class State:
    """An object and its managers, as the fixtures' operations change them. Managers are told apart by name alone."""

    def __init__(self, case: Case) -> None:
        self.parser, self.resets, self.parsers = case.parser, resets_of(case.literal), case.parsers
        self.convert = CONVERTERS[case.converter]
        self.any_version = not case.converter
        self.live: Any = None
        self.version = ""
        self.managers: Managers = {}

    def door(self, version: str) -> Door:
        return Door(self.parser.of(version), version, reset=self.resets.get(version, {}))

    def view(self, wanted: InVersion) -> View | None:
        if not self.any_version and not VERSION.fullmatch(wanted.wanted):
            return None
        return View(self.parser.of(wanted.wanted), self.convert(wanted.obj, wanted.apiVersion, wanted.wanted),
                    self.resets.get(wanted.wanted, {}))

    def live_in(self, version: str, like: Any) -> Any:
        """The object in a version; before there is one, an empty one of the form of what comes."""
        return type(like)() if self.live is None else self.convert(self.live, self.version, version)

    def object(self, operation: Literal, *, repeated: bool) -> Any:
        told = operation.fields
        found = load(told["Object"])
        kind = self.parser.of(plain(told.get("APIVersion", "")))
        if faults := conform.faults(kind, found, repeated=repeated):
            raise Refused(conform.sentence(faults))
        return found

    def update(self, operation: Literal) -> None:
        told, new = operation.fields, self.object(operation, repeated=True)
        version = plain(told.get("APIVersion", ""))
        self.managers = operations.run(operations.update(
            self.door(version), self.live_in(version, new), new, self.managers, Manager(told["Manager"], "Any"), TIME),
            self.view)
        self.live, self.version = new, version

    def apply(self, operation: Literal, *, force: bool) -> None:
        told, config = operation.fields, self.object(operation, repeated=False)
        version = plain(told.get("APIVersion", ""))
        expected = sorted((conflict.fields["Manager"], path_of(conflict.fields["Path"]))
                          for conflict in (told["Conflicts"].elements if told.get("Conflicts") else ()))
        try:
            result = operations.run(operations.managed_apply(
                self.door(version), self.live_in(version, config), config, self.managers,
                Manager(told["Manager"], "Any"), TIME, force=force), self.view)
        except Conflicts as conflicts:
            if sorted((one.manager.name, one.path) for one in conflicts.found) != expected:
                raise Refused(f"conflicts about {conflicts.found}, and not {expected}") from None
            return
        if expected:
            raise Refused(f"no conflicts about {expected}")
        self.live, self.version, self.managers = result.obj, version, result.managers

    def do(self, operation: Literal) -> None:
        match operation.type.rpartition(".")[2]:
            case "Apply":
                self.apply(operation, force=False)
            case "ForceApply":
                self.apply(operation, force=True)
            case "Update":
                self.update(operation)
            case "ChangeParser":
                self.parser = self.parsers[operation.fields["Parser"].text]
            case other:
                raise LookupError(other)


def resets_of(case: Literal) -> dict[str, FieldSet]:
    """The fields that a fixture ignores, by version. Raises LookupError for filters that only include."""
    told = case.fields.get("IgnoredFields") or case.fields.get("IgnoreFilter")
    found = {}
    for version, value in told.entries if told else ():
        call = value
        if call.function.endswith("NewExcludeSetFilter"):
            call = call.arguments[0]
        elif not call.function.endswith(("_NS", "NewSet")):
            raise LookupError(call.function)
        found[version] = set_of(call)
    return found


def managed_of(case: Literal) -> dict[str, tuple[FieldSet, str]] | None:
    """The managers that a fixture expects in the end: their sets and versions."""
    told = case.fields.get("Managed")
    if told is None:
        return None
    return {name: (set_of(call.arguments[0]), plain(call.arguments[1])) for name, call in told.entries}


if __name__ == "__main__":
    folder()
