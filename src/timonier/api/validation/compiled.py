"""Expressions of policies and of webhooks' conditions, compiled: what is said against those that cannot be.

Loaded where there is an expression to compile, since the language is large.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from timonier.api.cel import types
from timonier.api.cel.admission import TEXT, TEXT_OR_NULL, TRUTH, Composition, compiled, environment
from timonier.api.cel.construct import PATCH, ROOT
from timonier.api.cel.environment import NEW, Environment
from timonier.api.cel.types import Type
from timonier.api.validation.causes import Causes, Obj

GIVES = {"applyConfiguration": (Type(ROOT),), "jsonPatch": (types.list_of(Type(PATCH)),)}
"""What the expressions of patches have to give."""


def judge(given: Obj, field: str, path: str, within: Environment, expected: Iterable[Type] | None,
          causes: Causes) -> None:
    """An expression, where there is one; that it has to be there is another's to say."""
    text = given.get(field) or ""
    if text.strip() and (error := compiled(text, within, expected).error):
        causes.invalid(f"{path}.{field}", text, error)


def conditions(listed: Sequence[Obj], path: str, within: Environment, causes: Causes) -> None:
    for index, condition in enumerate(listed):
        judge(condition, "expression", f"{path}[{index}]", within, TRUTH, causes)


def of_webhook(hook: Obj, path: str, causes: Causes) -> None:
    conditions(hook.get("matchConditions", ()), f"{path}.matchConditions", environment(version=NEW), causes)


def of_policy(spec: Obj, causes: Causes) -> None:
    """Everything that a policy of either sort says in expressions."""
    params, patches, composition = "paramKind" in spec, "mutations" in spec, Composition()
    whole = environment(params=params, patches=patches, variables=composition.declared, version=NEW)
    for index, variable in enumerate(spec.get("variables", ())):
        path = f"spec.variables[{index}]"
        judge(variable, "expression", path, whole, None, causes)
        if variable.get("name"):
            composition.add(variable["name"], compiled(variable.get("expression", ""), whole))
    conditions(spec.get("matchConditions", ()), "spec.matchConditions",
               environment(params=params, variables=composition.declared, version=NEW), causes)
    unasked = environment(params=params, authorizer=False, variables=composition.declared, version=NEW)
    for index, validation in enumerate(spec.get("validations", ())):
        path = f"spec.validations[{index}]"
        judge(validation, "expression", path, whole, TRUTH, causes)
        judge(validation, "messageExpression", path, unasked, TEXT, causes)
    for index, annotation in enumerate(spec.get("auditAnnotations", ())):
        judge(annotation, "valueExpression", f"spec.auditAnnotations[{index}]", whole, TEXT_OR_NULL, causes)
    for index, mutation in enumerate(spec.get("mutations", ())):
        for field, gives in GIVES.items():
            judge(mutation.get(field, {}), "expression", f"spec.mutations[{index}].{field}", whole, gives, causes)
