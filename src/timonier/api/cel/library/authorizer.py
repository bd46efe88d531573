"""`authorizer`: may this user, or a service account, do something else? Checks are asked of a function among the
values.

An `Authorizer` is made by whoever evaluates: a user, and `decide`, which answers a `Question`. A check costs much, so
that few fit into one evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from timonier.api import names
from timonier.api.cel.costs import CHECK, LIST, OBJECT, ONE, TRAVERSE, Cost, Estimate, Fixed, Operand, Range, exactly
from timonier.api.cel.functions import Overload, method
from timonier.api.cel.types import BOOL, STRING, Type
from timonier.api.cel.values import Failure, size

TYPES = [Type(f"kubernetes.authorization.{name}")
         for name in ("Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")]
AUTHORIZER, PATH_CHECK, GROUP_CHECK, RESOURCE_CHECK, DECISION = TYPES


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a resource, or, where `path` is set, a path. `account` is a service account, or None for the user.
    """

    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""
    verb: str = ""
    account: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    reason: str = ""
    error: str = ""
    cel_type: ClassVar[Type] = DECISION
    cel_equality: ClassVar[int] = 1


Decide = Callable[[Question], Decision]


@dataclass(frozen=True, slots=True)
class Authorizer:
    decide: Decide
    account: tuple[str, str] | None = None
    cel_type: ClassVar[Type] = AUTHORIZER
    cel_equality: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class PathCheck:
    decide: Decide
    question: Question
    cel_type: ClassVar[Type] = PATH_CHECK
    cel_equality: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class GroupCheck:
    decide: Decide
    question: Question
    cel_type: ClassVar[Type] = GROUP_CHECK
    cel_equality: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class ResourceCheck:
    decide: Decide
    question: Question
    cel_type: ClassVar[Type] = RESOURCE_CHECK
    cel_equality: ClassVar[int] = 1


class Selector(Cost):
    """A selector is read: by its length, and by how many requirements fit into that."""

    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        return self.of(exactly(size(arguments[1]))).most

    def estimate(self, operands: list[Operand]) -> Estimate:
        return Estimate(self.of(operands[1].size()))

    def of(self, length: Range) -> Range:
        return exactly(LIST).plus(length.by(TRAVERSE)).plus(length.by(0.5).by(LIST + OBJECT))


def path(authorizer: Authorizer, text: str) -> PathCheck:
    if not text.strip():
        raise Failure("path must not be empty")
    return PathCheck(authorizer.decide, Question(path=text, account=authorizer.account))


def service_account(authorizer: Authorizer, namespace: str, name: str) -> Authorizer:
    if names.dns_subdomain(name):
        raise Failure("Invalid service account name")
    if names.plain_label(namespace):
        raise Failure("Invalid service account namespace")
    return replace(authorizer, account=(namespace, name))


def resource(check: GroupCheck, text: str) -> ResourceCheck:
    if not text.strip():
        raise Failure("resource must not be empty")
    return ResourceCheck(check.decide, replace(check.question, resource=text))


def narrowed(name: str, part: str, identity: str, cost: Cost = ONE, since: int = 27) -> Overload:
    """A method that says one thing more of the resource that is asked about."""
    def narrow(check: ResourceCheck, text: str) -> ResourceCheck:
        told: dict[str, Any] = {part: text}
        return replace(check, question=replace(check.question, **told))
    return method(name, identity, [RESOURCE_CHECK, STRING], RESOURCE_CHECK, narrow, cost, since)


def ask(check: PathCheck | ResourceCheck, verb: str) -> Decision:
    return check.decide(replace(check.question, verb=verb))


FUNCTIONS = [
    method("path", "authorizer_path", [AUTHORIZER, STRING], PATH_CHECK, path),
    method("group", "authorizer_group", [AUTHORIZER, STRING], GROUP_CHECK,
           lambda authorizer, group: GroupCheck(authorizer.decide, Question(group=group, account=authorizer.account))),
    method("serviceAccount", "authorizer_serviceaccount", [AUTHORIZER, STRING, STRING], AUTHORIZER, service_account),
    method("resource", "groupcheck_resource", [GROUP_CHECK, STRING], RESOURCE_CHECK, resource),
    narrowed("subresource", "subresource", "resourcecheck_subresource"),
    narrowed("namespace", "namespace", "resourcecheck_namespace"),
    narrowed("name", "name", "resourcecheck_name"),
    narrowed("fieldSelector", "field_selector", "authorizer_fieldselector", Selector(), 31),
    narrowed("labelSelector", "label_selector", "authorizer_labelselector", Selector(), 31),
    method("check", "pathcheck_check", [PATH_CHECK, STRING], DECISION, ask, Fixed(CHECK)),
    method("check", "resourcecheck_check", [RESOURCE_CHECK, STRING], DECISION, ask, Fixed(CHECK)),
    method("errored", "decision_errored", [DECISION], BOOL, lambda decision: bool(decision.error)),
    method("error", "decision_error", [DECISION], STRING, lambda decision: decision.error),
    method("allowed", "decision_allowed", [DECISION], BOOL, lambda decision: decision.allowed),
    method("reason", "decision_reason", [DECISION], STRING, lambda decision: decision.reason),
]
