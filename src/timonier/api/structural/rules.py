"""The CEL rules of a schema (x-kubernetes-validations), on objects: `compiled(schema).judge(obj, old)`.

A rule sees its own value as `self`, and as `oldSelf` the value that it takes the place of, where the two belong
together: fields of objects, values of maps, elements of lists by their keys. A rule without `oldSelf` does not judge
what is as it was (KEP-4008). What rules may cost is bounded for each and for all of an object's together.

Source: KEP-2876; Kubernetes documentation, "Validation rules". What a definition may say in its rules is judged in
`rulecheck`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from timonier.api import cel
from timonier.api.cel import types
from timonier.api.cel.values import NONE, Optional
from timonier.api.errors import Cause
from timonier.api.structural import fieldpaths
from timonier.api.structural.listtypes import by_key
from timonier.api.structural.nodes import (
    EMBEDDED,
    LIST_KEYS,
    LIST_TYPE,
    RULES,
    Schema,
    additional,
    at,
    items,
    properties,
)
from timonier.api.structural.values import NEW, identical
from timonier.api.structural.words import NOWHERE, shown_value

LONGEST_MESSAGE = 5 * 1024
"""Bytes of a message that an expression may make."""
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
BLOCKING = frozenset({"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany",
                      "FieldValueTypeInvalid"})
"""Reasons for which an object is too far from its schema for rules to make sense of it."""
UNCHECKED = Cause("FieldValueInvalid", NOWHERE, "Invalid value: null: some validation rules were not checked because "
                  "the object was invalid; correct the existing errors to complete validation")
Unchanged = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule. `trouble` is why it could not be compiled."""

    text: str
    message: str
    program: cel.Program | None
    explain: cel.Program | None = None
    trouble: str = ""
    reason: str = "FieldValueInvalid"
    field: str = ""
    optional: bool = False

    @property
    def transition(self) -> bool:
        return self.program is not None and "oldSelf" in self.program.uses

    @property
    def called(self) -> str:
        """How messages name the rule."""
        return self.message or self.text


@dataclass
class Spending:
    """What the rules of one object may still cost, and what they found."""

    left: int = cel.PER_OBJECT
    causes: list[Cause] = field(default_factory=list)
    ratchet: bool = True

    @property
    def over(self) -> bool:
        return self.left < 0

    def stop(self, path: str, kind: str, why: str) -> None:
        self.left = -1
        self.say(path, kind, why)

    def say(self, path: str, kind: str, why: str) -> None:
        self.causes.append(Cause("FieldValueInvalid", path or NOWHERE, f"Invalid value: {shown_value(kind)}: {why}"))


@dataclass
class Node:
    """The rules of a schema and of what is within it."""

    kind: str
    rules: tuple[Rule, ...] = ()
    named: dict[str, Node] = field(default_factory=dict)
    values: Node | None = None
    each: Node | None = None
    together: tuple[Node, ...] = ()
    """Of the parts of an allOf."""
    keys: tuple[str, ...] | None = None
    """By which elements of a list are known; None where they are not."""

    unchecked = UNCHECKED

    @staticmethod
    def blocked(causes: Iterable[Cause]) -> bool:
        """Whether what is wrong keeps rules from making sense of an object."""
        return any(cause.reason in BLOCKING for cause in causes)

    def judge(self, value: Any, old: Any = NEW, path: str = "", *, ratchet: bool = True) -> list[Cause]:
        """What the rules say against a value; `ratchet` has what is unchanged stay as it is."""
        spending = Spending(ratchet=ratchet)
        self.visit(value, old, path, lambda: old is not NEW and identical(value, old), spending)
        return spending.causes

    def visit(self, value: Any, old: Any, path: str, unchanged: Unchanged, spending: Spending) -> None:
        if value is None or spending.over:
            return
        if self.rules:
            self.check(value, old, path, unchanged, spending)
        for node in self.together:
            node.visit(value, old, path, lambda: False, spending)
        if isinstance(value, dict):
            self.visit_fields(value, old, path, unchanged, spending)
        elif isinstance(value, list) and self.each is not None:
            self.visit_elements(self.each, value, old, path, unchanged, spending)

    def visit_fields(self, value: dict[str, Any], old: Any, path: str, unchanged: Unchanged,
                     spending: Spending) -> None:
        before = old if isinstance(old, dict) else {}
        for key, child in value.items():
            then = before.get(key, NEW)
            node, place = self.named.get(key), at(path, key)
            if node is None and self.values is not None:
                node, place = self.values, f"{path}[{key}]"
            if node is not None:
                node.visit(child, then, place, same(child, then, unchanged), spending)

    def visit_elements(self, node: Node, value: list[Any], old: Any, path: str, unchanged: Unchanged,
                       spending: Spending) -> None:
        find = by_key(old, self.keys) if self.keys is not None and isinstance(old, list) else None
        for index, child in enumerate(value):
            then = NEW if find is None else find(child, NEW)
            node.visit(child, then, f"{path}[{index}]", same(child, then, unchanged), spending)

    def check(self, value: Any, old: Any, path: str, unchanged: Unchanged, spending: Spending) -> None:
        for rule in self.rules:
            if rule.trouble:
                spending.say(path, self.kind, f"rule compile error: {rule.trouble}")
            elif rule.program is not None and not (rule.transition and old is NEW and not rule.optional):
                if spending.left <= 0:
                    spending.stop(path, self.kind, OUT_OF_BUDGET)
                    return
                self.run(rule, value, old, path, unchanged, spending)
                if spending.over:
                    return

    def run(self, rule: Rule, value: Any, old: Any, path: str, unchanged: Unchanged, spending: Spending) -> None:
        assert rule.program is not None
        before = old if not rule.optional else NONE if old is NEW else Optional(old)
        bindings = {"self": value, "oldSelf": before}
        meter = cel.Meter()
        try:
            passed = rule.program(bindings, meter)
        except cel.Exhausted as error:
            spending.stop(path, self.kind, f"'{error}': no further validation rules will be run due to call cost "
                                           f"exceeds limit for rule: {rule.called}")
            return
        except cel.Failure as error:
            passed = error
        if meter.spent > spending.left:
            spending.stop(path, self.kind, OUT_OF_BUDGET)
            return
        spending.left -= meter.spent
        if isinstance(passed, cel.Failure):
            spending.say(path, self.kind, failure(passed, rule))
        elif passed is not True and (rule.transition or not spending.ratchet or not unchanged()):
            detail = self.explained(rule, bindings, path, spending) or rule.message or f"failed rule: {rule.text}"
            if not spending.over:
                shown = "" if self.kind in ("object", "array") else f": {shown_value(value)}"
                spending.causes.append(broken(rule, at(path, rule.field) if rule.field else path, shown, detail))

    def explained(self, rule: Rule, bindings: dict[str, Any], path: str, spending: Spending) -> str:
        """What a rule's messageExpression says; empty where it says nothing of use."""
        if rule.explain is None:
            return ""
        meter = cel.Meter()
        try:
            text = rule.explain(bindings, meter)
        except cel.Exhausted:
            spending.stop(path, self.kind, "no further validation rules will be run due to call cost exceeds limit for "
                                           f"messageExpression: {shown_value(rule.explain.text)}")
            return ""
        except cel.Failure:
            text = None
        if meter.spent > spending.left:
            spending.stop(path, self.kind, "messageExpression evaluation failed due to running out of cost budget, no "
                                           "further validation rules will be run")
            return ""
        spending.left -= meter.spent
        clean = text.strip() if isinstance(text, str) else ""
        return clean if "\n" not in clean and len(clean.encode()) <= LONGEST_MESSAGE else ""


def same(value: Any, old: Any, around: Unchanged) -> Unchanged:
    """Whether a value is as it was: by its counterpart, or, where it has none, by what is around it."""
    return around if old is NEW else lambda: identical(value, old)


def failure(error: cel.Failure, rule: Rule) -> str:
    if str(error).startswith("no such overload"):
        return f"'{error}': call arguments did not match a supported operator, function or macro signature for rule: " \
               f"{rule.called}"
    return f"{error} evaluating rule: {rule.called}"


def broken(rule: Rule, path: str, shown: str, detail: str) -> Cause:
    """A rule that does not hold."""
    match rule.reason:
        case "FieldValueForbidden":
            text = f"Forbidden: {detail}"
        case "FieldValueRequired":
            text = f"Required value: {detail}"
        case "FieldValueDuplicate":
            text = f"Duplicate value{shown}"
        case _:
            text = f"Invalid value{shown}: {detail}"
    return Cause(rule.reason, path or NOWHERE, text)


def has_rules(schema: Schema) -> bool:
    inner, element = additional(schema), items(schema)
    return bool(schema.get(RULES)) or any(map(has_rules, properties(schema).values())) \
        or (inner is not None and has_rules(inner)) or (element is not None and has_rules(element))


def compiled(schema: Schema, *, root: bool = True) -> Node | None:
    """The rules of a schema; None where it has none, however deep."""
    node = Node(schema.get("type", ""), rules_of(schema, root=root))
    for name, child in properties(schema).items():
        if (below := compiled(child, root=bool(child.get(EMBEDDED)))) is not None:
            node.named[name] = below
    inner, element = additional(schema), items(schema)
    node.values = None if inner is None else compiled(inner, root=bool(inner.get(EMBEDDED)))
    node.each = None if element is None else compiled(element, root=bool(element.get(EMBEDDED)))
    if schema.get(LIST_TYPE) == "map":
        node.keys = tuple(schema.get(LIST_KEYS) or ())
    return node if node.rules or node.named or node.values or node.each else None


def rules_of(schema: Schema, *, root: bool) -> tuple[Rule, ...]:
    """The rules of a node itself, as they were let in once."""
    given = schema.get(RULES) or ()
    if not given:
        return ()
    declared = cel.declare(schema, "self", root=root)
    if declared is None:
        return tuple(Rule(each["rule"], "", None, trouble="failed to convert to declType for CEL validation rules")
                     for each in given)
    return tuple(rule_of(each, schema, declared, cel.STORED) for each in given)


def environment(declared: cel.Declared, version: int, *, optional: bool) -> cel.Environment:
    """What a rule may speak of."""
    before = declared
    if optional:
        read = declared.read
        before = replace(declared, type=types.optional_of(declared.type), read=read and (
            lambda raw: raw if raw is NONE else Optional(read(raw.value))))
    return cel.Environment({"self": declared, "oldSelf": before}, version)


def rule_of(given: dict[str, Any], schema: Schema, declared: cel.Declared, version: int) -> Rule:
    """A rule, compiled, or with what is wrong with it."""
    text, optional = given.get("rule", ""), bool(given.get("optionalOldSelf"))
    message = given.get("message", "").strip()
    if not text.strip():
        return Rule(text, message, None)
    known = environment(declared, version, optional=optional)
    try:
        program = cel.compile(text, known)
    except cel.CompileError as error:
        return Rule(text.strip(), message, None, trouble=f"{error.stage} failed: {error}")
    if program.type != types.BOOL:
        return Rule(text.strip(), message, None, trouble="cel expression must evaluate to a bool")
    explain = None
    if given.get("messageExpression"):
        try:
            explain = cel.compile(given["messageExpression"], known)
        except cel.CompileError:
            explain = None
    path = ""
    if given.get("fieldPath"):
        try:
            path = fieldpaths.resolve(given["fieldPath"], schema)[0]
        except fieldpaths.BadPath:
            path = ""
    return Rule(text.strip(), message, program, explain, reason=given.get("reason") or "FieldValueInvalid", field=path,
                optional=optional)
