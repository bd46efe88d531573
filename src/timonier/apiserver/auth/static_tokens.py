"""Tokens of a file: lines of token, user name, uid and perhaps groups, read once at the start.

Source: Kubernetes documentation, "Authenticating", static token file.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from timonier.apiserver.auth.identity import Identity, authenticated, held
from timonier.apiserver.request import User
from timonier.kit.fatal import CannotRun, needed

log = logging.getLogger(__name__)

COLUMNS = 3


@dataclass(frozen=True)
class StaticTokens:
    """The authenticator. Such tokens hold for the `audiences` of this server."""

    users: Mapping[str, User]
    audiences: Sequence[str]

    @classmethod
    def from_file(cls, path: Path, audiences: Sequence[str]) -> StaticTokens:
        """From a CSV file. Raises CannotRun."""
        with needed("cannot read --token-auth-file"):
            content = path.read_text()
        return cls(dict(users(path, content)), audiences)

    async def identify(self, token: str, audiences: Sequence[str]) -> Identity | None:
        user, common = self.users.get(token), held(audiences, self.audiences)
        return Identity(user, common) if user is not None and common else None


def users(path: Path, content: str) -> list[tuple[str, User]]:
    found: list[tuple[str, User]] = []
    for number, record in enumerate(csv.reader(content.splitlines(), skipinitialspace=True), 1):
        if not record:
            continue
        if len(record) < COLUMNS:
            raise CannotRun(f"token file '{path}' must have at least 3 columns (token, user name, user uid), found "
                            f"{len(record)}")
        token, name, uid, *groups = record
        if not token:
            log.warning("empty token in the token file", extra={"file": str(path), "record": number})
            continue
        if any(token == other for other, _ in found):
            log.warning("duplicate token in the token file", extra={"file": str(path), "record": number})
        found.append((token, authenticated(User(name, uid, tuple(groups[0].split(",")) if groups else ()))))
    return found
