"""Acting as somebody else: the `Impersonate-*` headers, and who may use them.

`kubectl --as deployer --as-group ci` sends a user and groups; the caller needs the verb `impersonate` on each of them.
Source: Kubernetes documentation, "User impersonation".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from timonier.api.errors import BadRequest
from timonier.apiserver.auth.authenticate import account_groups
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.request import ANONYMOUS, AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP, Attributes, User

HEADER = "impersonate-"
EXTRA = "impersonate-extra-"
ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom a request wants to be."""

    user: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] | None = None


def wish(headers: Mapping[str, Sequence[str]]) -> Wish | None:
    """The wish in a request's (lower-case) headers, each with all of its values; None where there is none."""
    first = {name: values[0] for name, values in headers.items() if name.startswith(HEADER) and values}
    if not first:
        return None
    user, uid = first.get("impersonate-user", ""), first.get("impersonate-uid", "")
    groups = tuple(headers.get("impersonate-group", ()))
    extra = {unquote(name.removeprefix(EXTRA)): tuple(values)
             for name, values in headers.items() if name.startswith(EXTRA)}
    if not user and (groups or uid or extra):
        raise BadRequest(f"requested [{', '.join(sorted(first))}] without impersonating a user")
    return Wish(user, uid, groups, extra) if user else None


def demands(caller: User, wanted: Wish) -> Iterator[Attributes]:
    """What the caller must be allowed to do."""
    namespace, name = account_of(wanted.user)
    if namespace:
        yield Attributes(caller, "impersonate", version="v1", resource="serviceaccounts", namespace=namespace,
                         name=name)
    else:
        yield Attributes(caller, "impersonate", version="v1", resource="users", name=wanted.user)
    for group in wanted.groups:
        yield Attributes(caller, "impersonate", version="v1", resource="groups", name=group)
    if wanted.uid:
        yield Attributes(caller, "impersonate", group="authentication.k8s.io", version="v1", resource="uids",
                         name=wanted.uid)
    for key, values in (wanted.extra or {}).items():
        for value in values:
            yield Attributes(caller, "impersonate", group="authentication.k8s.io", version="v1",
                             resource="userextras", subresource=key, name=value)


def become(wanted: Wish) -> User:
    """The user that a granted wish makes."""
    groups = wanted.groups
    namespace, _ = account_of(wanted.user)
    if namespace and not groups:
        groups = account_groups(namespace)
    everyone = UNAUTHENTICATED_GROUP if wanted.user == ANONYMOUS else AUTHENTICATED_GROUP
    if everyone not in groups and UNAUTHENTICATED_GROUP not in groups:
        groups = (*groups, everyone)
    return User(wanted.user, wanted.uid, groups, wanted.extra or {})


def account_of(user: str) -> tuple[str, str]:
    """Namespace and name of a service account's user name; empty for other users."""
    namespace, _, name = user.removeprefix(ACCOUNT).partition(":")
    return (namespace, name) if user.startswith(ACCOUNT) and name else ("", "")


async def impersonate(caller: User, headers: Mapping[str, Sequence[str]], authoriser: Authoriser) -> User:
    """The user that a request acts as. Raises Forbidden where the caller may not, BadRequest for half a wish."""
    wanted = wish(headers)
    if wanted is None:
        return caller
    for attributes in demands(caller, wanted):
        await authoriser.demand(attributes)
    return become(wanted)
