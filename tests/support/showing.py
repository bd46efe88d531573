"""Clients that show a certificate over a real connection: which there are, and what each is answered."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from support.certificates import SERVER, Made, make, name_of

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
BAD = ("self-signed", "foreign", "foreign-of-the-same-name", "expired", "not-yet-valid", "serving-only", "a-ca",
       "the-ca-itself", "issued-by-a-leaf")
"""Sorts of certificates that nobody believes, see `sorts`."""


def sorts(now: float, ca: Made, subject: tuple[str, str]) -> dict[str, Made]:
    """A certificate of each sort for one user and group: `good`, `without-usages`, `nameless`, and those of BAD."""
    user = name_of(subject[0], [subject[1]])
    own_name = ca.certificate.subject
    return {
        "good": make(now, user, ca),
        "without-usages": make(now, user, ca, usages=None),
        "nameless": make(now, name_of("", [subject[1]]), ca),
        "self-signed": make(now, user),
        "foreign": make(now, user, make(now, name_of("other-ca"), ca=True, usages=None)),
        "foreign-of-the-same-name": make(now, user, make(now, own_name, ca=True, usages=None)),
        "expired": make(now, user, ca, ends=-60),
        "not-yet-valid": make(now, user, ca, begins=60),
        "serving-only": make(now, user, ca, usages=[SERVER]),
        "a-ca": make(now, user, ca, ca=True),
        "the-ca-itself": ca,
        "issued-by-a-leaf": make(now, user, make(now, user, ca)),
    }


@dataclass
class Answered:
    code: int
    content_type: str
    body: bytes


async def ask(port: int, path: str, tls: ssl.SSLContext, headers: Mapping[str, str] | None = None) -> Answered:
    """GET over a connection of its own."""
    def get() -> Answered:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=tls)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answered(response.status, response.headers["content-type"], response.read())
        finally:
            connection.close()

    return await asyncio.to_thread(get)
