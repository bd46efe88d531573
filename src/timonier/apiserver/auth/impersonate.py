"""Acting as somebody else: the `Impersonate-*` headers, and who may use them.

`kubectl --as deployer --as-group ci` sends a user and groups. There are several ways of being allowed to: with the verb
`impersonate` on the user and on each group, for whatever one then does; or constrained, with `impersonate:<mode>` on
them together with `impersonate-on:<mode>:<verb>` on what one then does. The modes are tried in order, the one by which
the caller got through last first; the first refusal is what the caller hears.
Source: Kubernetes documentation, "User impersonation"; KEP-5284.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from timonier.api import names
from timonier.api.errors import ApiError, BadRequest
from timonier.apiserver.auth.accounts import account_groups
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.decision import refusal
from timonier.apiserver.auth.identity import Recent, listed, quoted
from timonier.apiserver.auth.node import NODE_PREFIX, NODES_GROUP
from timonier.apiserver.request import (
    ANONYMOUS,
    AUTHENTICATED_GROUP,
    MASTERS_GROUP,
    UNAUTHENTICATED_GROUP,
    Attributes,
    Request,
    User,
    unwritten,
)

HEADER = "impersonate-"
EXTRA = "impersonate-extra-"
ACCOUNT = "system:serviceaccount:"
AUTHENTICATION = "authentication.k8s.io"
NODE_NAME = "authentication.kubernetes.io/node-name"
ASSOCIATED_KEYS = "authentication.kubernetes.io/associated-node-keys"
MANY = 4
"""So many groups or extra values are first asked about at once, as `*`."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom a request wants to be."""

    user: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def only_a_name(self) -> bool:
        return not (self.uid or self.groups or self.extra)


@dataclass(frozen=True)
class Mode:
    """A way of being allowed to act as another; the one without a name is the unconstrained one."""

    name: str
    fits: Callable[[Wish, User], bool]

    @property
    def verb(self) -> str:
        return f"impersonate:{self.name}" if self.name else "impersonate"


MODES = (
    Mode("associated-node", lambda wanted, caller: wanted.only_a_name and is_node_of(wanted.user, caller)),
    Mode("arbitrary-node", lambda wanted, caller: wanted.only_a_name and bool(node_of(wanted.user))),
    Mode("serviceaccount", lambda wanted, caller: wanted.only_a_name and bool(account_of(wanted.user)[0])),
    Mode("user-info", lambda wanted, caller: not node_of(wanted.user) and not account_of(wanted.user)[0]),
    Mode("", lambda wanted, caller: True),
)


@dataclass(frozen=True)
class Impersonation:
    """Decides who may act as whom."""

    authoriser: Authoriser
    last: Recent[Mode] = field(default_factory=lambda: Recent(10_000))
    """By which mode a user got through last."""

    async def act(self, request: Request) -> None:
        """Make the request that of the user it wishes to be. Raises Forbidden where its user may not, BadRequest for
        half a wish."""
        wanted = wish(request)
        if wanted is None:
            return
        for header in [header for header in request.headers if header.startswith(HEADER)]:
            del request.headers[header]
        request.user = await self.granted(request.attributes(annotate=unwritten), wanted)

    async def granted(self, attributes: Attributes, wanted: Wish) -> User:
        caller = attributes.user
        known = self.last.get(caller.name.encode())
        refused: ApiError | None = None
        for mode in (MODES if known is None else (known, *(mode for mode in MODES if mode is not known))):
            if not mode.fits(wanted, caller):
                continue
            try:
                became = await self.allowed(mode, attributes, wanted)
            except ApiError as error:
                refused = refused or error
                continue
            self.last.put(caller.name.encode(), mode)
            return became
        assert refused is not None  # the last mode fits everybody
        raise refused

    async def allowed(self, mode: Mode, attributes: Attributes, wanted: Wish) -> User:
        """The user that a wish makes by one mode. Raises Forbidden."""
        if mode.name:
            await self.authoriser.demand(asked_by(mode, replace(
                attributes, verb=f"impersonate-on:{mode.name}:{attributes.verb}")))
        ask = Attributes(attributes.user, mode.verb, group=AUTHENTICATION if mode.name else "", version="v1")
        await self.check_name(mode, ask, wanted)
        if wanted.uid:
            await self.authoriser.demand(replace(ask, group=AUTHENTICATION, resource="uids", name=wanted.uid))
        await self.check_groups(mode, replace(ask, resource="groups"), wanted.groups)
        await self.check_extra(mode, replace(ask, group=AUTHENTICATION, resource="userextras"), wanted.extra)
        return become(wanted, constrained=bool(mode.name))

    async def check_name(self, mode: Mode, ask: Attributes, wanted: Wish) -> None:
        namespace, name = account_of(wanted.user)
        node = node_of(wanted.user) if mode.name else ""
        if namespace:
            ask = replace(ask, resource="serviceaccounts", namespace=namespace, name=name)
        elif node:
            ask = replace(ask, resource="nodes", name="*" if mode.name == "associated-node" else node)
        else:
            ask = replace(ask, resource="users", name=wanted.user)
        await self.authoriser.demand(asked_by(mode, ask))

    async def check_groups(self, mode: Mode, ask: Attributes, groups: tuple[str, ...]) -> None:
        if mode.name and "" in groups:
            raise refusal(ask, "impersonating the empty string group is not allowed")
        if mode.name and MASTERS_GROUP in groups:
            raise refusal(replace(ask, name=MASTERS_GROUP), "impersonating the system:masters group is not allowed")
        if mode.name and len(groups) >= MANY and await self.may(replace(ask, name="*")):
            return
        for group in groups:
            await self.authoriser.demand(replace(ask, name=group))

    async def check_extra(self, mode: Mode, ask: Attributes, extra: Mapping[str, tuple[str, ...]]) -> None:
        if mode.name and (wrong := wrong_extra(extra)):
            raise refusal(ask, wrong)
        many = len(extra) >= MANY or sum(map(len, extra.values())) >= MANY
        if mode.name and many and await self.may(replace(ask, subresource="*", name="*")):
            return
        for key, values in extra.items():
            for value in values:
                await self.authoriser.demand(replace(ask, subresource=key, name=value))

    async def may(self, attributes: Attributes) -> bool:
        return (await self.authoriser.decide(attributes)).allowed


def wish(request: Request) -> Wish | None:
    """The wish in a request's headers; None where there is none. Raises BadRequest."""
    user, uid = (([*request.values(header), ""])[0] for header in ("impersonate-user", "impersonate-uid"))
    groups = tuple(request.values("impersonate-group"))
    extra: dict[str, tuple[str, ...]] = {}
    for header in request.headers:
        if header.startswith(EXTRA):
            key = unquote(header.removeprefix(EXTRA))
            extra[key] = (*extra.get(key, ()), *request.values(header))
    if not user and (groups or uid or extra):
        given = [f'Name:"" UID:{quoted(uid)} Groups:{listed(groups)}',
                 *(f"{key}:{listed(values)}" for key, values in extra.items())]
        raise BadRequest(f"requested {{{' '.join(given)}}} without impersonating a user name")
    return Wish(user, uid, groups, extra) if user else None


def become(wanted: Wish, *, constrained: bool = False) -> User:
    """The user that a granted wish makes."""
    groups = wanted.groups
    namespace, _ = account_of(wanted.user)
    if namespace and not groups:
        groups = account_groups(namespace)
    elif constrained and node_of(wanted.user):
        groups = (NODES_GROUP,)
    everyone = UNAUTHENTICATED_GROUP if wanted.user == ANONYMOUS else AUTHENTICATED_GROUP
    if everyone not in groups and UNAUTHENTICATED_GROUP not in groups:
        groups = (*groups, everyone)
    return User(wanted.user, wanted.uid, groups, wanted.extra)


def asked_by(mode: Mode, ask: Attributes) -> Attributes:
    """A question in the words of a mode: what a service account may do as its own node holds for whichever node it is
    on, so of its extra attributes only the names count."""
    if mode.name != "associated-node":
        return ask
    caller = ask.user
    return replace(ask, user=replace(caller, extra={ASSOCIATED_KEYS: tuple(sorted(caller.extra))}))


def account_of(user: str) -> tuple[str, str]:
    """Namespace and name of a service account's user name; empty for other users."""
    namespace, _, name = user.removeprefix(ACCOUNT).partition(":")
    fits = user.startswith(ACCOUNT) and not names.dns_label(namespace) and not names.dns_subdomain(name)
    return (namespace, name) if fits else ("", "")


def node_of(user: str) -> str:
    """The node of a node's user name; empty for other users."""
    name = user.removeprefix(NODE_PREFIX)
    return name if user.startswith(NODE_PREFIX) and not names.dns_subdomain(name) else ""


def is_node_of(user: str, caller: User) -> bool:
    """Whether a user name is that of the node on which the caller, a service account's pod, runs."""
    return bool(account_of(caller.name)[0]) and bool(node_of(user)) \
        and caller.extra.get(NODE_NAME) == (node_of(user),)


def wrong_extra(extra: Mapping[str, tuple[str, ...]]) -> str:
    """What keeps extra attributes from being taken over by a constrained mode."""
    for key, values in extra.items():
        domain, slash, path = key.partition("/")
        if not key:
            return "impersonating the empty string key in extra is not allowed"
        if not slash or not path or names.dns_subdomain(domain.lower()):
            return (f"impersonating an invalid key in extra is not allowed: extra.key: Invalid value: {quoted(key)}: "
                    'must be a domain-prefixed path (such as "acme.io/foo")')
        if key != key.lower():
            return f"impersonating a non-lowercase key in extra is not allowed: {quoted(key)}"
        if not values:
            return "impersonating empty values in extra is not allowed"
        if "" in values:
            return "impersonating the empty string value in extra is not allowed"
    return ""
