"""Policies and bindings as they lie, compiled once: expressions, constraints, what to do with what they find. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from timonier.api.cel import types
from timonier.api.cel.admission import (
    TEXT,
    TEXT_OR_NULL,
    TRUTH,
    Composition,
    Expression,
    compiled,
    conditions,
    environment,
)
from timonier.api.cel.construct import PATCH, ROOT
from timonier.apiserver.admission.policies.constraints import Constraints
from timonier.apiserver.request import Object


@dataclass(frozen=True)
class Policy:
    """What policies of both sorts have."""

    name: str
    spec: Object
    constraints: Constraints
    composition: Composition
    conditions: Sequence[Expression]

    @property
    def ignores_failure(self) -> bool:
        return self.spec.get("failurePolicy") == "Ignore"


@dataclass(frozen=True, slots=True)
class Validation:
    """What has to be true, and what is said where it is not."""

    spec: Object
    expression: Expression
    message: Expression | None


@dataclass(frozen=True)
class ValidatingPolicy(Policy):
    validations: Sequence[Validation] = ()
    annotations: Sequence[tuple[str, Expression]] = ()

    @classmethod
    def of(cls, obj: Object) -> ValidatingPolicy:
        spec = obj["spec"]
        params, composition = "paramKind" in spec, composed(spec)
        within = environment(params=params, variables=composition.declared)
        unasked = environment(params=params, authorizer=False, variables=composition.declared)
        validations = [Validation(each, compiled(each["expression"], within, TRUTH),
                                  compiled(text, unasked, TEXT) if (text := each.get("messageExpression")) else None)
                       for each in spec.get("validations") or ()]
        annotations = [(each["key"], compiled(each["valueExpression"], within, TEXT_OR_NULL))
                       for each in spec.get("auditAnnotations") or ()]
        return cls(*parts(obj, composition), validations, annotations)


@dataclass(frozen=True, slots=True)
class Mutation:
    """An expression that makes a patch, and of what sort."""

    patch_type: str
    expression: Expression


FIELDS = {"ApplyConfiguration": ("applyConfiguration", types.Type(ROOT)),
          "JSONPatch": ("jsonPatch", types.list_of(types.Type(PATCH)))}
"""By patch type: where its expression stands, and what that has to give."""


@dataclass(frozen=True)
class MutatingPolicy(Policy):
    mutations: Sequence[Mutation] = ()

    @classmethod
    def of(cls, obj: Object) -> MutatingPolicy:
        spec, composition = obj["spec"], composed(obj["spec"], patches=True)
        within = environment(params="paramKind" in spec, patches=True, variables=composition.declared)
        mutations = []
        for each in spec.get("mutations") or ():
            field, gives = FIELDS[each["patchType"]]
            mutations.append(Mutation(each["patchType"], compiled(each[field]["expression"], within, (gives,))))
        return cls(*parts(obj, composition), mutations)

    @property
    def wants_again(self) -> bool:
        return self.spec.get("reinvocationPolicy") == "IfNeeded"


def composed(spec: Object, *, patches: bool = False) -> Composition:
    """The variables of a policy, each seeing those before it."""
    composition = Composition()
    within = environment(params="paramKind" in spec, patches=patches, variables=composition.declared)
    for variable in spec.get("variables") or ():
        composition.add(variable["name"], compiled(variable["expression"], within))
    return composition


def parts(obj: Object, composition: Composition) -> tuple[str, Object, Constraints, Composition, Sequence[Expression]]:
    spec = obj["spec"]
    within = environment(params="paramKind" in spec, variables=composition.declared)
    return (obj["metadata"]["name"], spec, Constraints.of(spec.get("matchConstraints") or {}), composition,
            conditions(spec.get("matchConditions") or (), within))


@dataclass(frozen=True)
class Binding:
    name: str
    spec: Object
    constraints: Constraints | None
    """None where it is about everything that its policy is about."""

    @classmethod
    def of(cls, obj: Object) -> Binding:
        spec = obj["spec"]
        narrowed = spec.get("matchResources")
        return cls(obj["metadata"]["name"], spec, None if narrowed is None else Constraints.of(narrowed))

    @property
    def actions(self) -> Iterable[str]:
        found: Iterable[str] = self.spec.get("validationActions") or ()
        return found
