"""Questions about identity and rights, asked by creating an object: who am I, may I, what may I, whose token is this.

These kinds are never stored: the answer to the create is the object with its status filled in.
They have been validated. Source: Kubernetes API reference, groups authentication.k8s.io and authorization.k8s.io.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from timonier.api.errors import BadRequest
from timonier.apiserver.auth.authenticate import Authenticator
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.decision import aggregate
from timonier.apiserver.auth.identity import BadToken
from timonier.apiserver.auth.node import node_of
from timonier.apiserver.auth.questions import attributes_of
from timonier.apiserver.request import Object, User

INCOMPLETE = {"Node": "node authorizer does not support user rule resolution",
              "Webhook": "webhook authorizer does not support user rule resolution"}
"""Who decides without rules that could be listed."""
EVERYTHING = {"AlwaysAllow": ([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                              [{"verbs": ["*"], "nonResourceURLs": ["*"]}])}


@dataclass(frozen=True)
class Reviews:
    """Answers every review kind; `answer` says by which method."""

    authenticator: Authenticator
    authoriser: Authoriser

    async def answer(self, kind: str, obj: Object, user: User, namespace: str = "") -> Object:
        """The review with its status. Raises BadRequest for questions that make no sense."""
        methods: dict[str, Callable[[Object, User, str], Coroutine[Any, Any, Object]]] = {
            "SelfSubjectReview": self.who_am_i, "TokenReview": self.whose_token,
            "SelfSubjectAccessReview": self.may_i, "SubjectAccessReview": self.may_they,
            "LocalSubjectAccessReview": self.may_they, "SelfSubjectRulesReview": self.what_may_i}
        status = await methods[kind](obj, user, namespace)
        return {**obj, "status": status}

    async def who_am_i(self, obj: Object, user: User, namespace: str) -> Object:
        return {"userInfo": describe(user)}

    async def whose_token(self, obj: Object, user: User, namespace: str) -> Object:
        spec = obj.get("spec") or {}
        if not spec.get("token"):
            raise BadRequest("token is required for TokenReview in authentication")
        try:
            found = await self.authenticator.bearers.identify(
                spec["token"], spec.get("audiences") or self.authenticator.audiences)
        except BadToken as error:
            return {"user": {}, "error": str(error)}
        return {"authenticated": True, "user": describe(found.user), "audiences": list(found.audiences)}

    async def may_i(self, obj: Object, user: User, namespace: str) -> Object:
        return await self.decide(obj.get("spec") or {}, user)

    async def may_they(self, obj: Object, user: User, namespace: str) -> Object:
        spec = obj.get("spec") or {}
        subject = User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()),
                       {key: tuple(values) for key, values in (spec.get("extra") or {}).items()})
        return await self.decide(spec, subject)

    async def decide(self, spec: Object, subject: User) -> Object:
        attributes, unread = attributes_of(spec, subject)
        decision = await self.authoriser.decide(attributes)
        status: Object = {"allowed": decision.allowed, "denied": decision.denied, "reason": decision.reason,
                          "evaluationError": aggregate([text for text in (decision.error, unread) if text])}
        return {name: value for name, value in status.items() if value or name == "allowed"}

    async def what_may_i(self, obj: Object, user: User, namespace: str) -> Object:
        """Every rule that holds for the caller in a namespace, for `kubectl auth can-i --list`."""
        within = (obj.get("spec") or {}).get("namespace", "")
        if not within:
            raise BadRequest("no namespace on request")
        resource_rules: list[Object] = []
        path_rules: list[Object] = []
        for mode in self.authoriser.modes:
            if mode == "RBAC":
                self.authoriser.refresh()
                for rule in self.authoriser.index.rules_of(user, within):
                    (path_rules if rule.urls else resource_rules).append(rule.to_dict())
            resources, paths = EVERYTHING.get(mode, ([], []))
            resource_rules += resources
            path_rules += paths
        errors = [INCOMPLETE[mode] for mode in self.authoriser.modes
                  if mode == "Webhook" or (mode == "Node" and node_of(user))]
        status: Object = {"resourceRules": resource_rules, "nonResourceRules": path_rules, "incomplete": bool(errors)}
        return status | ({"evaluationError": aggregate(errors)} if errors else {})


def describe(user: User) -> Object:
    """A user as UserInfo."""
    info: Object = {"username": user.name, "uid": user.uid, "groups": list(user.groups),
                    "extra": {key: list(values) for key, values in user.extra.items()}}
    return {name: value for name, value in info.items() if value}
