"""Questions about identity and rights, asked by creating an object: who am I, may I, what may I, whose token is this.

These kinds are never stored: the answer to the create is the object with its status filled in.
Source: Kubernetes API reference, groups authentication.k8s.io and authorization.k8s.io.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from timonier.api.errors import BadRequest, Cause, invalid
from timonier.apiserver.auth.authenticate import Authenticator
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.node import node_of
from timonier.apiserver.auth.tokens import BadToken
from timonier.apiserver.request import Attributes, Object, User

GROUP = "authorization.k8s.io"
RESOURCE_PARTS = ("verb", "group", "version", "resource", "subresource", "namespace", "name")


@dataclass(frozen=True)
class Reviews:
    """Answers every review kind; `kinds` says by which method."""

    authenticator: Authenticator
    authoriser: Authoriser

    async def answer(self, kind: str, obj: Object, user: User, namespace: str = "") -> Object:
        """The review with its status. Raises Invalid or BadRequest for questions that make no sense."""
        methods: dict[str, Callable[[Object, User, str], Coroutine[Any, Any, Object]]] = {
            "SelfSubjectReview": self.who_am_i, "TokenReview": self.whose_token,
            "SelfSubjectAccessReview": self.may_i, "SubjectAccessReview": self.may_they,
            "LocalSubjectAccessReview": self.may_they_here, "SelfSubjectRulesReview": self.what_may_i}
        status = await methods[kind](obj, user, namespace)
        return {**obj, "status": status}

    async def who_am_i(self, obj: Object, user: User, namespace: str) -> Object:
        return {"userInfo": describe(user)}

    async def whose_token(self, obj: Object, user: User, namespace: str) -> Object:
        spec = obj.get("spec") or {}
        if not spec.get("token"):
            raise BadRequest("token is required for TokenReview in authentication")
        try:
            owner, audiences = self.authenticator.of_token(
                spec["token"], spec.get("audiences") or self.authenticator.audiences)
        except BadToken as error:
            return {"user": {}, "error": f"[invalid bearer token, {error}]"}
        return {"authenticated": True, "user": describe(owner), "audiences": audiences}

    async def may_i(self, obj: Object, user: User, namespace: str) -> Object:
        return await self.decide("SelfSubjectAccessReview", obj.get("spec") or {}, user)

    async def may_they(self, obj: Object, user: User, namespace: str) -> Object:
        return await self.about("SubjectAccessReview", obj)

    async def may_they_here(self, obj: Object, user: User, namespace: str) -> Object:
        asked = (obj.get("spec") or {}).get("resourceAttributes") or {}
        if asked.get("namespace", "") != namespace:
            cause = Cause("FieldValueInvalid", "spec.resourceAttributes.namespace",
                          f'Invalid value: "{asked.get("namespace", "")}": must match metadata.namespace')
            raise invalid(GROUP, "LocalSubjectAccessReview", "", [cause])
        return await self.about("LocalSubjectAccessReview", obj)

    async def about(self, kind: str, obj: Object) -> Object:
        spec = obj.get("spec") or {}
        groups, extra = tuple(spec.get("groups") or ()), spec.get("extra") or {}
        if not spec.get("user") and not groups:
            raise invalid(GROUP, kind, "", [Cause(
                "FieldValueInvalid", "spec.user",
                'Invalid value: "": at least one of user or group must be specified')])
        subject = User(spec.get("user", ""), spec.get("uid", ""), groups,
                       {key: tuple(values) for key, values in extra.items()})
        return await self.decide(kind, spec, subject)

    async def decide(self, kind: str, spec: Object, subject: User) -> Object:
        decision = await self.authoriser.decide(attributes_of(kind, spec, subject))
        return {"allowed": decision.allowed, **({"reason": decision.reason} if decision.reason else {})}

    async def what_may_i(self, obj: Object, user: User, namespace: str) -> Object:
        """Every rule that holds for the caller in a namespace, for `kubectl auth can-i --list`."""
        within = (obj.get("spec") or {}).get("namespace", "")
        if not within:
            raise BadRequest("no namespace on request")
        self.authoriser.refresh()
        resource_rules, path_rules = [], []
        for rule in self.authoriser.index.rules_of(user, within):
            if rule.urls:
                path_rules.append({"verbs": sorted(rule.verbs), "nonResourceURLs": list(rule.urls)})
            else:
                resource_rules.append(rule.to_dict())
        status: Object = {"resourceRules": resource_rules, "nonResourceRules": path_rules, "incomplete": False}
        if node_of(user):
            status |= {"incomplete": True, "evaluationError":
                       "node authorizer does not support user rule resolution"}
        return status


def attributes_of(kind: str, spec: Object, subject: User) -> Attributes:
    """What a review asks about. It asks about a resource or about a path."""
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        raise invalid(GROUP, kind, "", [Cause(
            "FieldValueInvalid", "spec.nonResourceAttributes",
            "Invalid value: cannot be specified in combination with resourceAttributes")])
    if path is not None:
        return Attributes(subject, path.get("verb", ""), is_resource=False, path=path.get("path", ""))
    if resource is None:
        raise invalid(GROUP, kind, "", [Cause(
            "FieldValueInvalid", "spec.resourceAttributes",
            "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified")])
    parts = {part: resource.get(part, "") for part in RESOURCE_PARTS}
    required = (resource.get("fieldSelector") or {}).get("requirements") or ()
    fields = {requirement.get("key", ""): requirement["values"][0] for requirement in required
              if requirement.get("operator") == "In" and len(requirement.get("values") or ()) == 1}
    return Attributes(subject, parts.pop("verb"), fields=fields, **parts)


def describe(user: User) -> Object:
    """A user as UserInfo."""
    info: Object = {"username": user.name, "uid": user.uid, "groups": list(user.groups),
                    "extra": {key: list(values) for key, values in user.extra.items()}}
    return {name: value for name, value in info.items() if value}
