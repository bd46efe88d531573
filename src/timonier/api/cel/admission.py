"""What expressions of admission speak of: the object, the request, the parameters, who asks and what else they may do.

Policies and the match conditions of webhooks have these variables in common. A policy also has `variables`, which are
expressions themselves: each is typed by what it gives, sees those before it, and is evaluated when it is first looked
at. Source: Kubernetes documentation, "Validating Admission Policy"; API reference, admissionregistration.k8s.io/v1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from timonier.api.cel import types
from timonier.api.cel.closures import Meter
from timonier.api.cel.construct import PATCH_TYPES
from timonier.api.cel.costs import PER_CALL
from timonier.api.cel.declarations import Declared, Field, dynamic, list_declared, map_declared, record
from timonier.api.cel.environment import STORED, Environment
from timonier.api.cel.library.authorizer import AUTHORIZER, RESOURCE_CHECK
from timonier.api.cel.moments import parse_timestamp
from timonier.api.cel.program import CompileError, Program, compile  # noqa: A004
from timonier.api.cel.types import BOOL, NULL, STRING, Type
from timonier.api.cel.values import Exhausted, Failure

PER_MATCH = 2_500_000
"""What all match conditions of one webhook or policy may cost for one object."""
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
TRUTH, TEXT, TEXT_OR_NULL = (BOOL,), (STRING,), (STRING, NULL)
"""What expressions of conditions, of messages and of annotations may give."""


def request() -> Declared:
    text, texts = Declared(STRING), list_declared(Declared(STRING))
    kind = record("kubernetes.GroupVersionKind", group=text, version=text, kind=text)
    resource = record("kubernetes.GroupVersionResource", group=text, version=text, resource=text)
    user = record("kubernetes.UserInfo", username=text, uid=text, groups=texts, extra=map_declared(texts))
    return record("kubernetes.AdmissionRequest", kind=kind, resource=resource, subResource=text, requestKind=kind,
                  requestResource=resource, requestSubResource=text, name=text, namespace=text, operation=text,
                  userInfo=user, dryRun=Declared(BOOL), options=dynamic())


def namespace() -> Declared:
    text, number, moment = Declared(STRING), Declared(types.INT), Declared(types.TIMESTAMP, read=parse_timestamp)
    texts = list_declared(text)
    condition = record("kubernetes.NamespaceCondition", status=text, type=text, lastTransitionTime=moment, message=text,
                       reason=text)
    metadata = record("kubernetes.NamespaceMetadata", name=text, generateName=text, namespace=text,
                      labels=map_declared(text), annotations=map_declared(text), UID=text, creationTimestamp=moment,
                      deletionGracePeriodSeconds=number, deletionTimestamp=moment, generation=number,
                      resourceVersion=text, finalizers=texts)
    return record("kubernetes.Namespace", metadata=metadata,
                  spec=record("kubernetes.NamespaceSpec", finalizers=texts),
                  status=record("kubernetes.NamespaceStatus", conditions=list_declared(condition), phase=text))


@cache
def common(params: bool, authorizer: bool) -> dict[str, Declared]:
    """The variables that are there; `params` of policies with a paramKind, `authorizer` but in messages."""
    found = {"object": dynamic(), "oldObject": dynamic(), "namespaceObject": namespace(), "request": request()}
    if params:
        found["params"] = dynamic()
    if authorizer:
        found |= {"authorizer": Declared(AUTHORIZER), "authorizer.requestResource": Declared(RESOURCE_CHECK)}
    return found


def environment(*, params: bool = False, authorizer: bool = True, patches: bool = False,
                variables: Declared | None = None, version: int = STORED,
                objects: Mapping[str, Declared] | None = None) -> Environment:
    """The environment of an expression. `objects` are declarations of `object` and others, where types are checked."""
    found = {**common(params, authorizer), **(objects or {})}
    if variables is not None:
        found["variables"] = variables
    return Environment(found, version, PATCH_TYPES if patches else {}, patches)


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression, compiled, or why it could not be."""

    text: str
    program: Program | None
    error: str = ""

    @property
    def type(self) -> Type:
        return self.program.type if self.program else types.DYN


def compiled(text: str, within: Environment, expected: Iterable[Type] | None = None) -> Expression:
    """An expression that has to give one of some types; None where it may give anything."""
    try:
        program = compile(text, within)
    except CompileError as error:
        return Expression(text, None, f"{error.stage} failed: {error}")
    if expected is None or program.type in expected:
        return Expression(text, program)
    wanted = [kind.declared for kind in expected]
    one_of = wanted[0] if len(wanted) == 1 else f"one of [{' '.join(wanted)}]"
    return Expression(text, None, f"must evaluate to {one_of} but got {program.type.declared}")


@dataclass
class Composition:
    """The variables of a policy: `declared` is what expressions see, and grows with each that is added."""

    declared: Declared = field(default_factory=lambda: record("kubernetes.variables"))
    expressions: dict[str, Expression] = field(default_factory=dict)

    def add(self, name: str, expression: Expression) -> None:
        assert self.declared.fields is not None
        self.expressions[name] = expression
        self.declared.fields[name] = Field(name, Declared(expression.type, nullable=True))


class Variables(dict[str, Any]):
    """The values of variables during the evaluation of a policy, each made when it is first asked for."""

    def __init__(self, expressions: Mapping[str, Expression], bindings: Mapping[str, Any], budget: Meter) -> None:
        super().__init__()
        self.expressions, self.bindings, self.budget = expressions, bindings, budget
        self.failed: dict[str, Failure] = {}

    def __missing__(self, name: str) -> Any:
        if name in self.failed:
            raise self.failed[name]
        expression = self.expressions[name]
        try:
            if expression.program is None:
                raise Failure(f'composited variable "{name}" fails to compile: {expression.error}')
            value = self[name] = self.evaluate(name, expression.program)
        except Failure as error:
            self.failed[name] = error
            raise
        return value

    def evaluate(self, name: str, program: Program) -> Any:
        meter = Meter(PER_CALL)
        try:
            return program(self.bindings, meter)
        except Failure as error:
            raise Failure(f'composited variable "{name}" fails to evaluate: {error}') from None
        finally:
            self.budget.left -= meter.spent

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self.expressions else default


class Evaluation:
    """The expressions of one policy over one request, which share a budget and the values of variables."""

    def __init__(self, bindings: Mapping[str, Any], expressions: Mapping[str, Expression], limit: int) -> None:
        self.budget = Meter(limit)
        self.bindings: dict[str, Any] = dict(bindings)
        self.bindings["variables"] = Variables(expressions, self.bindings, self.budget)

    def value(self, expression: Expression) -> Any:
        """The value of an expression. Raises Failure where there is none, and Exhausted where nothing more may be
        asked.
        """
        if expression.program is None:
            raise Failure(f"compilation error: {expression.error}")
        meter, failure = Meter(PER_CALL), None
        try:
            value = expression.program(self.bindings, meter)
        except Failure as error:
            failure = Failure(f"expression '{expression.text}' resulted in error: {error}")
        self.budget.left -= meter.spent
        if self.budget.left < 0:
            raise Exhausted(OUT_OF_BUDGET)
        if failure is not None:
            raise failure
        return value


@dataclass(frozen=True, slots=True)
class Matched:
    """Whether match conditions let a request through; `error` where that cannot be said and failures count."""

    matches: bool
    error: str = ""


def conditions(listed: Iterable[Mapping[str, Any]], within: Environment) -> list[Expression]:
    """Match conditions, compiled."""
    return [compiled(each["expression"], within, TRUTH) for each in listed]


def match(expressions: Iterable[Expression], bindings: Mapping[str, Any], variables: Mapping[str, Expression], *,
          ignore: bool) -> Matched:
    """Ask match conditions: one that is false ends it; failures count where none is, unless they are to be ignored.

    Conditions do not see the namespace: `namespaceObject` is null for them.
    """
    evaluation, errors = Evaluation({**bindings, "namespaceObject": None}, variables, PER_MATCH), []
    for expression in expressions:
        try:
            if evaluation.value(expression) is False:
                return Matched(False)
        except Exhausted as error:
            return Matched(False, "" if ignore else str(error))
        except Failure as error:
            errors.append(str(error))
    if not errors:
        return Matched(True)
    return Matched(False, "" if ignore else errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
