"""Policy status: what is wrong with a ValidatingAdmissionPolicy's expressions, given the types that it is about.

The API server lets expressions use the objects that they judge without knowing their types. Here they are checked
against the schema of every kind that the policy names, and what does not fit is told in its status; the policy works as
it is. Source: kubernetes/pkg/controller/validatingadmissionpolicystatus; KEP-3488, "Type Checking".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from timonier.api.kinds import BY_PATH
from timonier.api.schema import definition, resolve
from timonier.api.types.admissionregistration_v1 import ExpressionWarning, TypeChecking, ValidatingAdmissionPolicy
from timonier.api.types.apiextensions_v1 import CustomResourceDefinition
from timonier.client.informer import key_of
from timonier.kit.clock import Time
from timonier.reconcile.plan import Plan
from timonier.reconcile.snapshot import Snapshot, Watch, clone, itself

MOST_KINDS = 10
"""Kinds of one rule that are looked at."""


class Named(NamedTuple):
    """A kind, in the order in which warnings about kinds stand."""

    group: str
    version: str
    kind: str

    def __str__(self) -> str:
        return f"{self.group}/{self.version}, Kind={self.kind}"


Schemas = Mapping[Named, Any]
"""The schema of each kind; a built-in one's may have references."""


class PolicyStatusController:
    """A key is a policy."""

    name = "validatingadmissionpolicy-status-controller"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(ValidatingAdmissionPolicy, itself), Watch(CustomResourceDefinition, judging)]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        policy = snapshot.get(ValidatingAdmissionPolicy, key)
        if policy is None or policy.metadata.deletionTimestamp:
            return Plan()
        wanted = clone(policy)
        wanted.status.observedGeneration = policy.metadata.generation or 0
        wanted.status.typeChecking = TypeChecking(expressionWarnings=warnings(
            policy, kinds(policy, snapshot.list(CustomResourceDefinition))))
        return Plan(status=wanted if wanted != policy else None)


def judging(definition: CustomResourceDefinition, snapshot: Snapshot) -> Iterable[str]:
    """The policies that name the group of a definition."""
    for policy in snapshot.list(ValidatingAdmissionPolicy):
        constraints = policy.spec.matchConstraints
        if constraints and any(definition.spec.group in rule.apiGroups for rule in constraints.resourceRules):
            yield key_of(policy)


def kinds(policy: ValidatingAdmissionPolicy, definitions: Iterable[CustomResourceDefinition]) -> Schemas:
    """The kinds that a policy's rules name without wildcards, and that of its parameters, with their schemas."""
    custom = {(each.spec.group, version.name, each.spec.names.plural): (
        Named(each.spec.group, version.name, each.spec.names.kind), version.schema.openAPIV3Schema)
        for each in definitions for version in each.spec.versions if version.schema}
    found: dict[Named, Any] = {}
    for path in named(policy):
        if path in custom:
            kind, schema = custom[path]
            found[kind] = msgspec.to_builtins(schema)
        elif built_in := BY_PATH.get(path):
            found[Named(built_in.group, built_in.version, built_in.kind)] = definition(built_in.definition)
    return dict(sorted(found.items()))


def named(policy: ValidatingAdmissionPolicy) -> Iterator[tuple[str, str, str]]:
    """Group, version and resource of everything that the rules name exactly."""
    constraints = policy.spec.matchConstraints
    for rule in constraints.resourceRules if constraints else ():
        if any("*" in text for text in (*rule.apiGroups, *rule.apiVersions)):
            continue
        paths = [(group, version, resource) for group in sorted(rule.apiGroups) for version in sorted(rule.apiVersions)
                 for resource in sorted(rule.resources) if "*" not in resource and "/" not in resource]
        yield from paths[:MOST_KINDS]


def warnings(policy: ValidatingAdmissionPolicy, schemas: Schemas) -> list[ExpressionWarning]:
    """What does not fit, by expression: one text for all kinds."""
    found = []
    for index, validation in enumerate(policy.spec.validations):
        for field in ("expression", "messageExpression"):
            text = getattr(validation, field)
            wrong = [f"{kind}: {problem}\n" for kind, schema in schemas.items()
                     if text and (problem := checked(policy, text, kind, schema))]
            if wrong:
                found.append(ExpressionWarning(fieldRef=f"spec.validations[{index}].{field}", warning="\n".join(wrong)))
    return found


def checked(policy: ValidatingAdmissionPolicy, text: str, kind: Named, schema: Any) -> str:
    """What is wrong with an expression where `object` is of a kind; nothing where its schema has no end."""
    from timonier.api.cel import CompileError, Declared, compile, declare  # noqa: A004 (large: only where policies are)
    from timonier.api.cel.admission import Composition, compiled, environment

    try:
        declared = declare(schema, kind.kind, root=True, resolve=resolve)
    except RecursionError:
        return ""
    if declared is None:
        return ""
    objects: dict[str, Declared] = {"object": declared, "oldObject": declared}
    composition = Composition()
    within = environment(params=policy.spec.paramKind is not None, variables=composition.declared, objects=objects)
    for variable in policy.spec.variables:
        composition.add(variable.name, compiled(variable.expression, within))
    try:
        compile(text, within)
    except CompileError as error:
        return str(error)
    return ""
