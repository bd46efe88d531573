"""What the expressions of a policy see of a request: objects in the version that it asks for, the request, parameters.

Questions to the authoriser may take time, and expressions cannot wait: one that asks what is not known yet is broken
off, the question is put, and all is evaluated again with the answer. A question is put once for a request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from timonier.api.cel.library.authorizer import Authorizer, Decision, Question, ResourceCheck
from timonier.api.errors import ApiError
from timonier.api.kinds import Kind
from timonier.api.selectors import Labels
from timonier.apiserver.admission.policies.compiled import Binding, Policy
from timonier.apiserver.admission.webhooks.calling import foreign, whole
from timonier.apiserver.admission.webhooks.configured import NAMESPACE, Registry
from timonier.apiserver.admission.webhooks.reviews import kind_of, namespace_of, options_of, resource_of, user_info
from timonier.apiserver.admission.webhooks.rules import Place
from timonier.apiserver.auth.decision import Authoriser
from timonier.apiserver.request import AUTHENTICATED_GROUP, Attributes, Object, User
from timonier.apiserver.resources import Resources

T = TypeVar("T")
UNBOUND = "no params found for policy binding with `Deny` parameterNotFoundAction"
SHOWN_METADATA = ("name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
                  "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "finalizers")
"""What expressions see of a namespace's metadata."""


class Misconfigured(Exception):
    """A policy or a binding that cannot be used as it is; the message says why."""


class Unanswered(Exception):
    """An expression asked what is not known yet."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.question = question


@dataclass
class Situation:
    """One request, for all policies. Copies of its objects are only made for policies that concern it."""

    registry: Registry
    resources: Resources
    authoriser: Authoriser
    attributes: Attributes
    answers: dict[Question, Decision] = field(default_factory=dict)

    # Whom the request concerns.

    @property
    def others(self) -> Sequence[Kind]:
        kind = self.attributes.kind
        return () if kind is None else self.resources.views(kind)

    def row(self, place: Place) -> Kind | None:
        return self.resources.at(place.group, place.version, place.resource) or self.attributes.kind

    def params(self, policy: Policy, binding: Binding) -> Sequence[Object | None]:
        """The parameters of a binding: one evaluation each. Raises Misconfigured."""
        given, reference = policy.spec.get("paramKind"), binding.spec.get("paramRef")
        if given is None or reference is None:
            return [None]
        kind = self.resources.find(given["apiVersion"], given["kind"])
        if kind is None:
            raise Misconfigured(f"paramKind kind `{given['apiVersion']}, Kind={given['kind']}` not known")
        found = self.referred(kind, reference)
        if not found and reference.get("parameterNotFoundAction") == "Deny":
            raise Misconfigured(UNBOUND)
        return found

    def referred(self, kind: Kind, reference: Object) -> list[Object]:
        namespace = reference.get("namespace") or ""
        if kind.namespaced:
            namespace = namespace or self.attributes.namespace
            if not namespace:
                raise Misconfigured("cannot use namespaced paramRef in policy binding that matches cluster-scoped "
                                    "resources")
        elif namespace:
            raise Misconfigured("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        if name := reference.get("name"):
            one = self.registry.peek(kind, namespace, name)
            return [] if one is None else [one]
        selector = Labels.of(reference.get("selector") or {})
        return [each for each in self.registry.peek_all(kind, namespace)
                if selector.matches(each["metadata"].get("labels"))]

    # What expressions see.

    async def shown(self, place: Place, obj: Object | None) -> Object | None:
        """A copy of an object in the version of a place. Raises InternalError where it cannot be converted."""
        row = self.row(place)
        if obj is None or row is None or foreign(self.attributes):
            return obj
        return await whole(self.registry, row, obj)

    def bindings(self, place: Place, obj: Object | None, old: Object | None, params: Object | None) -> dict[str, Any]:
        """The values of all variables but `variables`. `obj` and `old` are as `shown`."""
        authorizer = Authorizer(self.answer)
        attributes = self.attributes
        own = Question(group=attributes.group, resource=attributes.resource, subresource=attributes.subresource,
                       namespace=attributes.namespace, name=attributes.name)
        return {"object": obj, "oldObject": old, "params": params, "namespaceObject": self.namespace(),
                "request": self.request(place, obj), "authorizer": authorizer,
                "authorizer.requestResource": ResourceCheck(self.answer, own)}

    def request(self, place: Place, obj: Object | None) -> Object:
        attributes, row = self.attributes, self.row(place)
        if foreign(attributes) and obj is not None:
            asked = shown = (obj["apiVersion"], obj["kind"])
        else:
            assert attributes.kind is not None
            assert row is not None
            asked, shown = (attributes.kind.apiVersion, attributes.kind.kind), (row.apiVersion, row.kind)
        found: Object = {
            "kind": kind_of(*shown), "resource": resource_of(place.group, place.version, place.resource),
            "subResource": attributes.subresource, "requestKind": kind_of(*asked),
            "requestResource": resource_of(attributes.group, attributes.version, attributes.resource),
            "requestSubResource": attributes.subresource, "name": attributes.name,
            "namespace": namespace_of(attributes), "operation": attributes.operation,
            "userInfo": user_info(attributes.user),
            "options": options_of(attributes)}
        return {key: value for key, value in found.items() if value} | {"dryRun": attributes.dry_run}

    def namespace(self) -> Object | None:
        """The namespace that the object is in; a namespace itself is in none."""
        attributes = self.attributes
        if not attributes.namespace or (not attributes.group and attributes.resource == "namespaces"):
            return None
        found = self.registry.peek(NAMESPACE, "", attributes.namespace)
        if found is None:
            return None
        metadata = {key: found["metadata"][key] for key in SHOWN_METADATA if key in found["metadata"]}
        return {"metadata": metadata, "spec": found.get("spec") or {}, "status": found.get("status") or {}}

    # Questions to the authoriser.

    def answer(self, question: Question) -> Decision:
        if question not in self.answers:
            raise Unanswered(question)
        return self.answers[question]

    async def settled(self, evaluate: Callable[[], T]) -> T:
        """What an evaluation gives, run as often as it takes to know all answers."""
        while True:
            try:
                return evaluate()
            except Unanswered as unknown:
                self.answers[unknown.question] = await self.ask(unknown.question)

    async def ask(self, question: Question) -> Decision:
        user = self.attributes.user if question.account is None else account(*question.account)
        asked = Attributes(user, question.verb, path=question.path, is_resource=False) if question.path else Attributes(
            user, question.verb, group=question.group, version="*", resource=question.resource,
            subresource=question.subresource, namespace=question.namespace, name=question.name,
            field_selector=question.field_selector, label_selector=question.label_selector)
        try:
            found = await self.authoriser.decide(asked)
        except ApiError as error:
            return Decision(False, error=error.message)
        return Decision(found.allowed, found.reason, found.error)


def account(namespace: str, name: str) -> User:
    """A service account as who asks."""
    return User(f"system:serviceaccount:{namespace}:{name}",
                groups=("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED_GROUP))
