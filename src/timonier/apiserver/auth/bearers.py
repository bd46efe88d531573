"""Bearer tokens: where a request shows one, and which of the authenticators knows it.

A browser cannot set headers of a WebSocket, so a token may also come among its subprotocols, as
`base64url.bearer.authorization.k8s.io.<token>`, together with at least one other.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from timonier.apiserver.auth.identity import BadToken, Identity, Tokens
from timonier.apiserver.request import Request

PROTOCOLS = "sec-websocket-protocol"
TOKEN_PROTOCOL = "base64url.bearer.authorization.k8s.io."
UNPADDED = re.compile(r"[A-Za-z0-9_-]*")
UNKNOWN = "invalid bearer token"


@dataclass
class Bearers:
    """Asks authenticators in order. The first that knows a token wins; why others refused it counts if none does."""

    authenticators: Sequence[Tokens]

    async def identify(self, token: str, audiences: Sequence[str]) -> Identity:
        """Who shows a token. Raises BadToken."""
        problems: list[str] = []
        for authenticator in self.authenticators:
            try:
                found = await authenticator.identify(token, audiences)
            except BadToken as error:
                problems.append(str(error))
                continue
            if found is not None:
                return found
        raise BadToken(f"[{', '.join([UNKNOWN, *problems])}]" if problems else UNKNOWN)


def shown_token(request: Request) -> str:
    """The token that a request shows; empty where it shows none. Raises BadToken."""
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    if token and scheme.lower() == "bearer":
        return token.strip()
    return taken_protocol(request) if TOKEN_PROTOCOL in request.headers.get(PROTOCOLS, "") else ""


def taken_protocol(request: Request) -> str:
    """The token among the subprotocols of a WebSocket; nobody else sees it there any more."""
    if "websocket" not in request.headers.get("upgrade", "").lower():
        return ""
    offered = [protocol.strip() for protocol in request.headers[PROTOCOLS].split(",")]
    tokens = [protocol for protocol in offered if protocol.startswith(TOKEN_PROTOCOL)]
    others = [protocol for protocol in offered if protocol not in tokens]
    if len(tokens) > 1:
        raise BadToken("multiple base64.bearer.authorization tokens specified")
    encoded = tokens[0].removeprefix(TOKEN_PROTOCOL)
    try:
        if not UNPADDED.fullmatch(encoded):
            raise ValueError(encoded)
        token = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError as error:
        raise BadToken("invalid base64.bearer.authorization token encoding") from error
    if token and not others:
        raise BadToken("missing additional subprotocol")
    request.headers[PROTOCOLS] = ", ".join(others)
    return token
