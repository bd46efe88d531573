"""Delegated authentication and authorisation of the paths of one process: on the API server's word.

Imported for the first request to something guarded: reading certificates takes 8 MB.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from timonier.api.errors import Forbidden, ServiceUnavailable, Unauthorized
from timonier.client.client import Client
from timonier.component.answers import Call, Refused
from timonier.component.authenticate import Authenticator, User
from timonier.component.authorise import Access, Reviewed
from timonier.component.reviews import access_review, token_review
from timonier.kit.clock import Seconds
from timonier.kit.trust import Authorities

ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))
"""Who shows nothing; who shows something that is not believed is nobody."""
REVIEW_SECONDS: Seconds = 10
"""How long the API server may take to say who somebody is and what they may."""


class Delegated:
    """Asks who somebody is, then whether they may do what they ask on the path that they ask for."""

    def __init__(self, authenticator: Authenticator, reviewed: Reviewed, limit: Seconds = REVIEW_SECONDS) -> None:
        self._authenticator, self._reviewed, self._limit = authenticator, reviewed, limit

    async def check(self, call: Call) -> None:
        """Raises Unauthorized, Forbidden, or ServiceUnavailable where the API server gives no word."""
        try:
            async with asyncio.timeout(self._limit):
                user = await self._user(call)
                allowed = await self._reviewed.allowed(Access(user, call.method.lower(), call.path))
        except Refused as refused:
            raise (Unauthorized if refused.status == 401 else ServiceUnavailable)(refused.text) from refused
        except TimeoutError as error:
            raise ServiceUnavailable("the API server did not answer in time who may see this") from error
        if not allowed:
            raise Forbidden(f'forbidden: User "{user.name}" cannot {call.method.lower()} path "{call.path}"')

    async def _user(self, call: Call) -> User:
        if call.peer_certificate is None and "authorization" not in call.headers:
            return ANONYMOUS
        return await self._authenticator.user(call)


def delegated(client: Client, authorities: Path) -> Delegated:
    """The guard of a process, which asks through `client`."""
    authenticator = Authenticator(token_review(client), client.clock, Authorities.from_file(authorities))
    return Delegated(authenticator, Reviewed(access_review(client), client.clock))
