"""The webhook authoriser: somebody else is asked whether a request is allowed, and the answers are kept for a while.

Match conditions save it the questions that it would have no opinion on. Where it does not answer, the request is denied
or left to the next authoriser, as configured.
Source: Kubernetes documentation, "Webhook Mode", "Configuring the API Server using an Authorization Config File".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from timonier.apiserver.auth.decision import NO_OPINION, Decision, aggregate
from timonier.apiserver.auth.kept import Kept
from timonier.apiserver.auth.questions import spec_of
from timonier.apiserver.calls import NoAnswer, Webhook
from timonier.apiserver.request import Attributes, Object
from timonier.kit.clock import Seconds

log = logging.getLogger(__name__)

KIND = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
LONGEST_KEPT = 10_000
"""Bytes of a question whose answer is kept, so that nobody fills memory with long names."""


class BadCondition(Exception):
    """A match condition could not be evaluated; the message says why."""


Condition = Callable[[Object], bool]
"""Whether a question concerns the webhook, by its spec. Raises BadCondition."""


@dataclass(frozen=True)
class WebhookAuthoriser:
    """Asks one webhook; `deny_on_error` says what counts where it does not answer."""

    webhook: Webhook
    kept: Kept[Object]
    authorized_seconds: Seconds = 300.0
    unauthorized_seconds: Seconds = 30.0
    deny_on_error: bool = False
    conditions: Sequence[Condition] = ()

    async def decide(self, attributes: Attributes) -> Decision:
        spec = spec_of(attributes)
        try:
            if not matches(self.conditions, spec):
                return NO_OPINION
            return decision(await self.answer(spec))
        except (NoAnswer, BadCondition) as error:
            log.warning("authorisation webhook not answering", extra={"why": str(error)})
            return Decision(False, denied=self.deny_on_error, error=str(error))

    async def answer(self, spec: Object) -> Object:
        question = orjson.dumps(spec, option=orjson.OPT_SORT_KEYS)

        async def ask() -> Object:
            answered = await self.webhook.ask(KIND | {"metadata": {}, "spec": spec})
            status = answered.get("status")
            if not isinstance(status, dict):
                raise NoAnswer("what it answered is not a SubjectAccessReview with a status")
            return status

        return await (self.kept.of(question, ask, self.holds) if len(question) <= LONGEST_KEPT else ask())

    def holds(self, status: Object) -> Seconds:
        return self.authorized_seconds if status.get("allowed") else self.unauthorized_seconds


def matches(conditions: Sequence[Condition], spec: Object) -> bool:
    """Whether every condition holds. One that does not settles it, whatever else is wrong. Raises BadCondition."""
    problems: list[str] = []
    for condition in conditions:
        try:
            if not condition(spec):
                return False
        except BadCondition as error:
            problems.append(str(error))
    if problems:
        raise BadCondition(aggregate(problems))
    return True


def decision(status: Object) -> Decision:
    allowed, denied, reason = bool(status.get("allowed")), bool(status.get("denied")), str(status.get("reason") or "")
    if allowed and denied:
        return Decision(False, reason, True, "webhook subject access review returned both allow and deny response")
    return Decision(allowed, reason, denied)
