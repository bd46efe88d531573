"""What the kubelet's API asks the API server about its callers."""

from __future__ import annotations

from typing import Any

import pytest

from timonier.api.errors import Forbidden
from timonier.api.types import authentication_v1
from timonier.component.answers import Refused
from timonier.component.authenticate import User
from timonier.component.authorise import Access
from timonier.component.reviews import access_review, token_review


class FakeClient:
    """Answers every review as `decide` says; raises what it is given to raise."""

    def __init__(self, decide: Any) -> None:
        self.decide, self.asked = decide, []

    async def create(self, review: Any) -> Any:
        self.asked.append(review)
        if isinstance(self.decide, Exception):
            raise self.decide
        self.decide(review.status)
        return review


async def test_an_access_is_asked_with_all_that_is_known_of_the_user():
    client = FakeClient(lambda status: setattr(status, "allowed", True))
    user = User("jane", "u1", ("dev",), (("scope", ("a", "b")),))
    assert await access_review(client)(Access(user, "get", resource="nodes", subresource="metrics", name="n1"))  # type: ignore[arg-type]
    [spec] = [review.spec for review in client.asked]
    assert (spec.user, spec.uid, spec.groups, spec.extra) == ("jane", "u1", ["dev"], {"scope": ["a", "b"]})
    found = spec.resourceAttributes
    assert (found.verb, found.resource, found.subresource, found.name) == ("get", "nodes", "metrics", "n1")


async def test_a_token_stands_for_whom_the_api_server_says():
    def vouch(status: Any) -> None:
        status.authenticated, status.user = True, authentication_v1.UserInfo(username="bot", groups=["system:bots"])

    assert await token_review(FakeClient(vouch))("t") == User("bot", "", ("system:bots",))  # type: ignore[arg-type]
    assert await token_review(FakeClient(lambda status: None))("t") is None  # type: ignore[arg-type]


async def test_an_api_server_that_does_not_answer_is_not_a_refusal():
    client: Any = FakeClient(Forbidden("no"))
    for asking in (token_review(client)("t"), access_review(client)(Access(User("u"), "get", "/metrics"))):
        with pytest.raises(Refused) as refused:
            await asking
        assert refused.value.status == 503
