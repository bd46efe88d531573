"""What authenticators say: who somebody is, that a credential is not theirs to judge, or that it does not hold."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from timonier.apiserver.request import AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP, User

T = TypeVar("T")

CREDENTIAL = "authentication.kubernetes.io/credential-id"
"""The extra attribute that names the credential which a user showed."""


class BadToken(Exception):
    """The token proves nothing. The text is for the log, and for who asks by a TokenReview."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is. `audiences` are those, of the ones asked for, for which the credential holds."""

    user: User
    audiences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What the client is warned of."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What is noted in the audit log."""


class Tokens(Protocol):
    """An authenticator of bearer tokens."""

    async def identify(self, token: str, audiences: Sequence[str]) -> Identity | None:
        """Who shows a token, if it holds for one of the audiences; None where others may know it. Raises BadToken."""


class Recent(Generic[T]):
    """The results for the last few credentials, by their hash, so that memory holds no credentials."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.entries: OrderedDict[bytes, T] = OrderedDict()

    def get(self, credential: bytes) -> T | None:
        key = hashlib.sha256(credential).digest()
        if key in self.entries:
            self.entries.move_to_end(key)
        return self.entries.get(key)

    def put(self, credential: bytes, value: T) -> None:
        self.entries[hashlib.sha256(credential).digest()] = value
        while len(self.entries) > self.limit:
            self.entries.popitem(last=False)


def authenticated(user: User) -> User:
    """A user with the group of all who are known."""
    known = AUTHENTICATED_GROUP in user.groups or UNAUTHENTICATED_GROUP in user.groups
    return user if known else replace(user, groups=(*user.groups, AUTHENTICATED_GROUP))


def held(wanted: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    """The audiences wanted for which a credential holds."""
    return tuple(each for each in wanted if each in given)


def listed(values: Sequence[str]) -> str:
    """Texts as Go prints a list of them: `["a" "b"]`."""
    return f"[{' '.join(quoted(value) for value in values)}]"


def quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
