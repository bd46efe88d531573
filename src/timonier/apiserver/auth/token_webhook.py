"""Tokens that somebody else knows: a webhook is asked by a TokenReview, and its answers are kept for a while.

Source: Kubernetes documentation, "Webhook Token Authentication".
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from timonier.apiserver.auth.identity import BadToken, Identity, authenticated, held
from timonier.apiserver.auth.kept import Kept
from timonier.apiserver.calls import NoAnswer, Webhook
from timonier.apiserver.request import Object, User
from timonier.kit.clock import Seconds

log = logging.getLogger(__name__)

KIND = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}


@dataclass(frozen=True)
class WebhookTokens:
    """The authenticator. `audiences` are those of tokens about whose audience the webhook says nothing."""

    webhook: Webhook
    audiences: Sequence[str]
    kept: Kept[Object]
    seconds: Seconds

    async def identify(self, token: str, audiences: Sequence[str]) -> Identity | None:
        question = KIND | {"metadata": {}, "spec": {"token": token, "audiences": list(audiences)}}
        try:
            answer = await self.kept.of(orjson.dumps([token, *audiences]), lambda: self.webhook.ask(question),
                                        lambda _: self.seconds)
            return identity(answer, audiences, self.audiences)
        except NoAnswer as error:
            log.warning("token webhook not answering", extra={"why": str(error)})
            raise BadToken(str(error)) from error


def identity(answer: Object, wanted: Sequence[str], ours: Sequence[str]) -> Identity | None:
    """What a TokenReview says. Raises BadToken where it says why not, NoAnswer where it is none."""
    try:
        status = answer.get("status") or {}
        if not status.get("authenticated"):
            if status.get("error"):
                raise BadToken(str(status["error"]))
            return None
        common = held(wanted, status.get("audiences") or ours)
        info = status["user"]
        user = User(str(info["username"]), str(info.get("uid") or ""), tuple(map(str, info.get("groups") or ())),
                    {str(key): tuple(map(str, values)) for key, values in (info.get("extra") or {}).items()})
    except (KeyError, TypeError, AttributeError) as error:
        raise NoAnswer("what it answered is not a TokenReview with a user") from error
    return Identity(authenticated(user), common) if common else None
