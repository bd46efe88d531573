"""A request for what another server answers, passed on whole: body, upgrade, watch, and who asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from timonier.api.errors import ApiError
from timonier.apiserver.aggregation.backends import Backend, identity
from timonier.apiserver.documents import Answer
from timonier.apiserver.hooks import NotAnswered, why
from timonier.apiserver.passing import HOP_BY_HOP, exchange, forwarded, upgrade, wants_upgrade
from timonier.apiserver.request import Request
from timonier.kit.http import HttpError

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

IDENTITY = "x-remote-"
"""How headers begin that say who asks: what the client sent of them is not passed on."""
OURS = frozenset({"audit-id", "cache-control", "date"})
"""Headers of answers that this server writes itself."""


class Unreachable(ApiError):
    """The backend does not answer."""

    code, reason, plain = 503, "ServiceUnavailable", True


async def serve(server: ApiServer, request: Request, backend: Backend, target: str = "") -> Answer | None:
    """Have a backend answer a request, by default at the same path. Raises Unreachable."""
    if not backend.available:
        raise Unreachable("service unavailable\n")
    url = backend.base + (target or request.uri)
    own = {name: value for name, value in forwarded(request) if not name.startswith(IDENTITY)}
    headers = {**own, **identity(request.user)}
    try:
        if wants_upgrade(request):
            return await upgrade(server, request, backend.connections, url, headers, answered)
        return await exchange(server, request, backend.connections, url, headers, answered)
    except (HttpError, NotAnswered) as error:
        raise Unreachable(f"error trying to reach service: {why(error)}\n") from error
    except ApiError as error:
        raise Unreachable(f"error trying to reach service: {error.message}\n") from error


def answered(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """A backend's headers for the client."""
    return ((name, value) for name, value in headers.items() if name not in HOP_BY_HOP and name not in OURS)


