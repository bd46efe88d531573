"""Whether the CEL rules of a definition may be: that they compile, and that they cannot cost too much.

What a rule may cost is estimated from the schema around it: how long its lists and texts can be, and how often its
value can occur in one object. Source: KEP-2876, "Resource constraints"; the messages are upstream's.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from timonier.api import cel
from timonier.api.cel import types
from timonier.api.cel.declarations import REQUEST
from timonier.api.structural.nodes import EMBEDDED, RULES, Schema, at, every
from timonier.api.structural.rules import environment
from timonier.api.structural.soundness import Place
from timonier.api.validation.causes import Causes

PER_RULE, PER_DEFINITION = 10_000_000, 100_000_000
WORTH_TELLING = PER_DEFINITION // 100
MOST = 2**64 - 1
ADVICE = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and " \
         "strings are declared)"


def expressions(schemas: Collection[Schema]) -> frozenset[str]:
    """Every expression in the rules of some schemas."""
    return frozenset(text for root in schemas for schema in every(root) for rule in schema.get(RULES) or ()
                     for text in (rule.get("rule"), rule.get("messageExpression")) if text)


class RuleChecks:
    """The checks of one schema's rules, which add up what they may cost.

    `known` are expressions that were let in before, perhaps by another version; `unchanged` is a schema that was, as a
    whole, and so is not asked what its rules cost each.
    """

    def __init__(self, known: Collection[str] = (), *, unchanged: bool = False) -> None:
        self.known, self.unchanged = known, unchanged
        self.total = 0
        self.dearest: list[tuple[int, str]] = []

    def __call__(self, schema: Schema, place: Place) -> Causes:
        """What is wrong with the rules of a node."""
        causes, path = Causes(), at(place.path, RULES)
        declared = cel.declare(schema, "self", root=place.root or bool(schema.get(EMBEDDED)))
        if declared is None:
            causes.say("InternalError", path, "Internal error", "internal error: failed to construct type information "
                       "for x-kubernetes-validations rules: unable to convert structural schema to CEL declarations")
            return causes
        times = REQUEST // (declared.least + 1) if place.cardinality is None else place.cardinality
        for index, rule in enumerate(schema[RULES]):
            self.rule(rule, declared, times, f"{path}[{index}]", place, causes)
        return causes

    def rule(self, rule: dict[str, Any], declared: cel.Declared, times: int, path: str, place: Place,
             causes: Causes) -> None:
        program = self.compiled(rule, "rule", declared, path, causes)
        if program is None:
            return
        self.cost(program, declared, times, f"{path}.rule", "estimated rule cost", causes)
        if rule.get("messageExpression"):
            message = self.compiled(rule, "messageExpression", declared, path, causes)
            if message is not None:
                self.cost(message, declared, 1, f"{path}.messageExpression", "estimated messageExpression cost", causes)
        if "oldSelf" in program.uses:
            if place.uncorrelated:
                causes.invalid(f"{path}.rule", rule["rule"], "oldSelf cannot be used on the uncorrelatable portion of "
                                                             f"the schema within {place.uncorrelated}")
        elif rule.get("optionalOldSelf") is not None:
            causes.invalid(f"{path}.optionalOldSelf", rule["optionalOldSelf"],
                           "may not be set if oldSelf is not used in rule")

    def compiled(self, rule: dict[str, Any], field: str, declared: cel.Declared, path: str,
                 causes: Causes) -> cel.Program | None:
        """An expression of a rule, or None with the reason among the causes."""
        text = rule[field]
        version = cel.STORED if text in self.known else cel.NEW
        wanted, name = (types.BOOL, "cel expression must evaluate to a bool") if field == "rule" else (
            types.STRING, "messageExpression must evaluate to a string")
        start = "" if field == "rule" else "messageExpression "
        try:
            program = cel.compile(text, environment(declared, version, optional=bool(rule.get("optionalOldSelf"))))
        except cel.CompileError as error:
            stage = error.stage if field == "rule" else error.stage.removeprefix("program ")
            causes.invalid(f"{path}.{field}", go_rule(rule), f"{start}{stage} failed: {error}")
            return None
        if program.type != wanted:
            causes.invalid(f"{path}.{field}", go_rule(rule), name)
            return None
        return program

    def cost(self, program: cel.Program, declared: cel.Declared, times: int, path: str, what: str,
             causes: Causes) -> None:
        cost = min(cel.estimate(program.tree, declared).most * times, MOST)
        if cost > PER_RULE and not self.unchanged:
            causes.forbidden(path, too_dear(what, cost, PER_RULE))
        self.total = min(self.total + cost, MOST)
        if cost >= WORTH_TELLING:
            self.dearest = sorted([*self.dearest, (cost, path)], key=lambda each: -each[0])[:4]

    def altogether(self, path: str) -> Causes:
        """What is wrong with all rules of the schema together."""
        causes = Causes()
        if self.total > PER_DEFINITION:
            for _, place in self.dearest:
                causes.forbidden(place, "contributed to estimated rule cost total exceeding cost limit for entire "
                                        "OpenAPIv3 schema")
            causes.forbidden(path, too_dear("x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 "
                                            "schema", self.total, PER_DEFINITION))
        return causes


def too_dear(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} {ADVICE}"


def go_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule as upstream shows it: with the names that it has in Go."""
    return {"Rule": rule.get("rule", ""), "Message": rule.get("message", ""),
            "MessageExpression": rule.get("messageExpression", ""), "Reason": rule.get("reason"),
            "FieldPath": rule.get("fieldPath", ""), "OptionalOldSelf": rule.get("optionalOldSelf")}
