"""Authenticating proxies: who comes with a certificate of their CA may tell in headers for whom it speaks.

An API server that passes requests on to others, and any proxy that logs users in, comes so. Without such a certificate
the headers mean nothing.
Source: Kubernetes documentation, "Authenticating", authenticating proxy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import unquote

from timonier.apiserver.auth.certificates import common_name
from timonier.apiserver.auth.identity import authenticated
from timonier.apiserver.auth.settings import AccessSettings
from timonier.apiserver.request import Request, User
from timonier.kit.clock import Time
from timonier.kit.trust import Authorities, Untrusted, Verified


class FrontProxy:
    """Reads the headers of proxies whose certificates come from `authorities`; empty `names` allow every name."""

    def __init__(self, authorities: Authorities, settings: AccessSettings) -> None:
        self.certificates = Verified(authorities, common_name)
        self.names = frozenset(settings.requestheader_allowed_names)
        self.users = lower(settings.requestheader_username_headers)
        self.uids = lower(settings.requestheader_uid_headers)
        self.groups = lower(settings.requestheader_group_headers)
        self.extras = lower(settings.requestheader_extra_headers_prefix)
        self.names_of_headers = frozenset((*self.users, *self.uids, *self.groups))

    def identify(self, request: Request, now: Time) -> User | None:
        """Whom the headers name; None where that is nobody. Raises Untrusted where the proxy is not to be believed."""
        if not any(request.headers.get(header) for header in self.users) or request.peer_certificate is None:
            return None
        name = self.certificates.of(request.peer_certificate, now)
        if self.names and name not in self.names:
            raise Untrusted(f"x509: subject with cn={name} is not in the allowed list")
        values = request.values
        user = User(first(values(header) for header in self.users), first(values(header) for header in self.uids),
                    tuple(value for header in self.groups for value in values(header) if value), self.extra(request))
        return authenticated(user)

    def clear(self, request: Request) -> None:
        """Take these headers out of a request, whoever sent them."""
        for header in [header for header in request.headers if header in self.names_of_headers
                       or header.startswith(self.extras)]:
            del request.headers[header]

    def extra(self, request: Request) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for prefix in self.extras:
            for header in request.headers:
                if header.startswith(prefix):
                    key = unquote(header.removeprefix(prefix)).lower()
                    found[key] = (*found.get(key, ()), *request.values(header))
        return found


def lower(headers: Sequence[str]) -> tuple[str, ...]:
    return tuple(header.strip().lower() for header in headers)


def first(values: Iterable[Sequence[str]]) -> str:
    return next((several[0] for several in values if several and several[0]), "")
