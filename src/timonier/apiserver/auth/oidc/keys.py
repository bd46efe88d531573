"""An issuer's keys: found by its discovery document, kept, and fetched anew when a token names one that is not known.

Whoever can send tokens can name keys, so keys are not fetched more often than every few seconds; and a key that the
issuer has taken back is forgotten within minutes.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from typing import Any

import orjson

from timonier.apiserver.auth.identity import BadToken
from timonier.apiserver.auth.oidc.configuration import Issuer
from timonier.kit.clock import Clock, Seconds, Time
from timonier.kit.fatal import CannotRun
from timonier.kit.http import Connections, HttpError

log = logging.getLogger(__name__)

WELL_KNOWN = "/.well-known/openid-configuration"
WITHIN: Seconds = 10.0
LARGEST = 1 << 20
"""Bytes of a document."""
PAUSE: Seconds = 10.0
"""The least time between two fetches."""
OLDEST: Seconds = 600.0
"""For how long keys are believed without asking again."""


class Unavailable(Exception):
    """The issuer did not give its keys; the message says why."""


class IssuerKeys:
    """The keys of one issuer."""

    def __init__(self, issuer: Issuer, clock: Clock, connections: Connections | None = None) -> None:
        self.issuer, self.clock = issuer, clock
        self.connections = connections or Connections(context(issuer), timeout=WITHIN)
        self.keys: list[dict[str, Any]] = []
        self.fetched: Time = float("-inf")
        self.tried: Time = float("-inf")
        self._fetching = asyncio.Lock()

    async def named(self, kid: str) -> Sequence[dict[str, Any]]:
        """The keys of an id as JSON Web Keys, all of them for a token that names none. Raises BadToken."""
        if self.clock.now() - self.fetched > OLDEST or not self.matching(kid):
            await self.refresh(kid)
        if self.fetched == float("-inf"):
            raise BadToken("oidc: authenticator not initialized")
        return self.matching(kid)

    def matching(self, kid: str) -> list[dict[str, Any]]:
        return [key for key in self.keys if not kid or key.get("kid") == kid]

    async def refresh(self, kid: str) -> None:
        async with self._fetching:
            now = self.clock.now()
            if now - self.tried < PAUSE or (now - self.fetched <= OLDEST and self.matching(kid)):
                return
            self.tried = now
            try:
                self.keys = await self.fetch()
            except Unavailable as error:
                log.warning("keys of an issuer not fetched", extra={"issuer": self.issuer.url, "why": str(error)})
                return
            self.fetched = now

    async def fetch(self) -> list[dict[str, Any]]:
        document = await self.get(self.issuer.discoveryURL or self.issuer.url.rstrip("/") + WELL_KNOWN)
        if document.get("issuer") != self.issuer.url:
            raise Unavailable(f"the discovery document is of issuer {document.get('issuer')!r}")
        keys = (await self.get(str(document.get("jwks_uri", "")))).get("keys")
        if not isinstance(keys, list):
            raise Unavailable("there is no list of keys")
        return [key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig"]

    async def get(self, url: str) -> dict[str, Any]:
        try:
            found = orjson.loads(await self.content(url))
        except ValueError as error:
            raise Unavailable(f"{url}: {error}") from error
        if not isinstance(found, dict):
            raise Unavailable(f"{url} answered with something that is no object")
        return found

    async def content(self, url: str, token: str = "") -> bytes:
        """What is at an https URL, within limits of time and size. Raises Unavailable."""
        if not url.startswith("https://"):
            raise Unavailable(f"{url!r} is not an https URL")
        headers = {"Accept": "*/*"} | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            async with asyncio.timeout(WITHIN), self.connections.stream("GET", url, headers) as stream:
                body = b""
                async for chunk in stream:
                    body += chunk
                    if len(body) > LARGEST:
                        raise Unavailable(f"{url} answers more than {LARGEST} bytes")
        except TimeoutError as error:
            raise Unavailable(f"{url} did not answer within {WITHIN:g} s") from error
        except (HttpError, OSError, ValueError) as error:
            raise Unavailable(f"{url}: {error}") from error
        if stream.status != 200:
            raise Unavailable(f"{url} answered {stream.status}")
        return body


def context(issuer: Issuer) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=issuer.certificateAuthority or None)
    except ssl.SSLError as error:
        raise CannotRun(f"the certificate authority of issuer {issuer.url} cannot be used: {error}") from error
