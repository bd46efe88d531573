"""Lists: which objects, as of which revision, in which pieces.

Source: Kubernetes API concepts, "Resource versions" and "Retrieving large results sets in chunks". What is asked for as
of now, or as of no particular time, comes from the watch cache; what is asked for as of one revision in the past,
which includes every further piece of a list, comes from the store's history.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from timonier.api.errors import BadRequest, Cause, Expired, ServiceUnavailable, invalid
from timonier.api.kinds import Kind
from timonier.api.selectors import EVERYTHING, BadSelector, Fields, Labels, Term
from timonier.apiserver import fields as selectable
from timonier.apiserver.cache import Item
from timonier.apiserver.feed import Feed, too_large
from timonier.apiserver.request import Request
from timonier.apiserver.views import Views
from timonier.store import contract
from timonier.store.contract import Revision

NO_FIELDS = Fields()
EXACT, NOT_OLDER = "Exact", "NotOlderThan"
PIECE = 500
"""Entries read from history at a time when a selector leaves few of them."""
CONTINUE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list.")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a collection are meant."""

    namespace: str = ""
    labels: Labels = EVERYTHING
    fields: Fields = NO_FIELDS
    key: tuple[str, ...] = ()
    """What was asked for, in words: selections of the same words are the same."""

    @property
    def everything(self) -> bool:
        return self.labels.empty and self.fields.empty

    def matches(self, item: Item) -> bool:
        return (not self.namespace or item.namespace == self.namespace) \
            and (self.labels.empty or self.labels.matches(item.labels)) \
            and (self.fields.empty or self.fields.matches(item.field))


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The query parameters of list and watch."""

    selection: Selection = Selection()
    revision: Revision | None = None
    """None where no resourceVersion was given; 0 means any."""
    match: str = ""
    limit: int = 0
    after: str = ""
    """The continue token."""
    timeout: int = 0
    """Seconds; 0 where the client leaves it to the server."""
    bookmarks: bool = False
    initial_events: bool | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Items in key order, the revision at which they are true, and where the rest begins, if there is one."""

    items: list[Item]
    revision: Revision
    after: str = ""
    remaining: int | None = None


def options_of(request: Request, kind: Kind) -> ListOptions:
    """The options of a request. Raises BadRequest, and Invalid where they do not go together."""
    selection = selection_of(request, kind)
    watching = request.verb == "watch"
    version, match = request.parameter("resourceVersion"), request.parameter("resourceVersionMatch")
    after = request.parameter("continue")
    initial = request.flag("sendInitialEvents") if "sendInitialEvents" in request.query else None
    refuse_combinations(version, match, after, initial, watching)
    if watching and initial is None and version in ("", "0"):
        initial = True  # as it was before clients could ask for it
    return ListOptions(selection, number("resourceVersion", version), match, max(0, whole(request, "limit")), after,
                       max(0, whole(request, "timeoutSeconds")),
                       request.flag("allowWatchBookmarks"), initial)


def selection_of(request: Request, kind: Kind) -> Selection:
    try:
        labels = Labels.parse(request.parameter("labelSelector"))
        fields = Fields.parse(request.parameter("fieldSelector"))
    except BadSelector as error:
        raise BadRequest(str(error)) from None
    if request.name:
        # A watch by the path of one object is a watch of the collection, narrowed to it.
        if not fields.empty and fields.required("metadata.name") != request.name:
            raise BadRequest("fieldSelector metadata.name doesn't match requested name")
        fields = Fields((*fields.terms, Term("metadata.name", request.name)))
    selectable.check(kind, fields)
    namespace = request.namespace if kind.namespaced else ""
    return Selection(namespace, labels, fields, (namespace, request.name, request.parameter("labelSelector"),
                                                 request.parameter("fieldSelector")))


def number(name: str, text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text) >= 2**63:
        raise BadRequest(f'{name}: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def whole(request: Request, name: str) -> int:
    """A number of a query parameter, 0 where it is absent. Raises BadRequest with the words of Go."""
    text = request.parameter(name)
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if not -2**63 <= int(text) < 2**63:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def refuse_combinations(version: str, match: str, after: str, initial: bool | None, watching: bool) -> None:
    """Raise Invalid where parameters contradict one another."""
    wrong: list[Cause] = []

    def forbid(field: str, why: str) -> None:
        wrong.append(Cause("FieldValueForbidden", field, f"Forbidden: {why}"))

    if watching:
        if initial is not None and match != NOT_OLDER:
            forbid("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        if initial is None and match:
            forbid("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents "
                                           "is provided")
        if after:
            forbid("continue", "continue is forbidden for watch")
    else:
        if initial is not None:
            forbid("sendInitialEvents", "sendInitialEvents is forbidden for list")
        if match and not version:
            forbid("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
        if match and after:
            forbid("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
        if match == EXACT and version == "0":
            forbid("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    if match and match not in (EXACT, NOT_OLDER):
        wrong.append(Cause("FieldValueNotSupported", "resourceVersionMatch",
                           f'Unsupported value: "{match}": supported values: "{EXACT}", "{NOT_OLDER}", ""'))
    if wrong:
        raise invalid("meta.k8s.io", "ListOptions", "", wrong)


async def listing(feed: Feed, views: Views, kind: Kind, options: ListOptions) -> Listing:
    """The items that the options ask for. Raises Expired, BadRequest, Timeout."""
    if options.after:
        return await continued(feed, views, kind, options)
    revision, exact = options.revision, options.match == EXACT
    if revision and (exact or (options.limit and not options.match)):
        return await historic(feed, views, kind, options, revision, None,
                              "The resourceVersion for the provided list is too old.")
    if revision is None:
        await feed.current()
    else:
        await feed.ready.wait()
        await feed.at_least(revision)
    return await cached(feed, views, kind, options if revision != 0 else without_limit(options))


def without_limit(options: ListOptions) -> ListOptions:
    """Who takes any revision gets all of it, since the cache has it whole."""
    return ListOptions(options.selection, options.revision)


async def cached(feed: Feed, views: Views, kind: Kind, options: ListOptions) -> Listing:
    """From the cache, as it is now: nothing is awaited before all is read, so it is of one moment."""
    selection, limit, revision = options.selection, options.limit, feed.revision
    candidates: Iterable[Item] = feed.cache(kind).within(selection.namespace)
    name = selection.fields.required("metadata.name")
    if name and (selection.namespace or not kind.namespaced):
        found = feed.cache(kind).items.get(kind.key(selection.namespace, name))
        candidates = [found] if found else []
    if kind.custom is not None:
        candidates = await views.of(kind, list(candidates))
    items = list(candidates) if selection.everything else [i for i in candidates if selection.matches(i)]
    if not limit or len(items) <= limit:
        return Listing(items, revision)
    remaining = len(items) - limit if selection.everything else None
    return Listing(items[:limit], revision, token(kind, revision, items[limit - 1].key), remaining)


async def continued(feed: Feed, views: Views, kind: Kind, options: ListOptions) -> Listing:
    """The next piece of a list, as of the revision of its first."""
    if options.revision:
        raise BadRequest("specifying resource version is not allowed when using continue")
    revision, key = read_token(kind, options.after)
    if revision < 0:
        latest = await feed.current()
        return await historic(feed, views, kind, options, latest, key, CONTINUE_EXPIRED)
    return await historic(feed, views, kind, options, revision, key, CONTINUE_EXPIRED)


async def historic(feed: Feed, views: Views, kind: Kind, options: ListOptions, revision: Revision, after: str | None,
                   expired: str) -> Listing:
    """From the store, as of a revision, behind a key."""
    selection, limit = options.selection, options.limit
    prefix = f"{kind.prefix}{selection.namespace}/" if selection.namespace else kind.prefix
    items: list[Item] = []
    room = None if not limit else (limit if selection.everything else max(limit, PIECE))
    while True:
        page = await read(feed, kind, prefix, revision, after, room, expired)
        found = await views.of(kind, [Item.of(entry) for entry in page.entries])
        items += found if selection.everything else [item for item in found if selection.matches(item)]
        if not page.remaining or (limit and len(items) >= limit):
            break
        after = page.entries[-1].key
    if not limit or (len(items) <= limit and not page.remaining):
        return Listing(items, revision)
    kept = items[:limit]
    if len(kept) == len(items) and not page.remaining:
        return Listing(kept, revision)
    return Listing(kept, revision, token(kind, revision, kept[-1].key),
                   page.remaining if selection.everything else None)


async def read(feed: Feed, kind: Kind, prefix: str, revision: Revision, after: str | None, limit: int | None,
               expired: str) -> contract.Page:
    try:
        return await feed.store.list(prefix, at=revision, after=after, limit=limit)
    except contract.Expired:
        if after is None:
            raise Expired(expired) from None
        raise ContinueExpired(expired, token(kind, -1, after)) from None
    except contract.Future as error:
        raise too_large(error.asked, error.latest) from None
    except contract.StoreError as error:
        raise ServiceUnavailable(f"the store is not available: {error}", retry_after=1) from error


class ContinueExpired(Expired):
    """A token whose revision was compacted. The answer holds one with which to go on inconsistently."""

    def __init__(self, message: str, token: str) -> None:
        super().__init__(message)
        self.token = token

    def status(self) -> dict[str, Any]:
        return super().status() | {"metadata": {"continue": self.token}}


def token(kind: Kind, revision: Revision, key: str) -> str:
    """What a client hands back for the next piece: the revision, and the key behind which it begins."""
    start = key.removeprefix(kind.prefix) + "\0"
    text = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start})
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def read_token(kind: Kind, text: str) -> tuple[Revision, str]:
    """The revision and the key of a token. Raises BadRequest."""
    try:
        if strange := re.search(r"[^A-Za-z0-9_-]", text):
            raise BadToken(f": illegal base64 data at input byte {strange.start()}")
        value = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        version, revision, start = value["v"], value["rv"], value["start"]
        if version != "meta.k8s.io/v1":
            raise BadToken(f": server does not recognize this encoded version {version}")
        if not revision:
            raise BadToken(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
        if not start:
            raise BadToken(": encoded start key empty (version meta.k8s.io/v1)")
        key = kind.prefix + start.removesuffix("\0")
        if not isinstance(revision, int) or not key.isascii() or ".." in start:
            raise BadToken(f": {start}")
    except (BadToken, ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        why = error if isinstance(error, BadToken) else ": unexpected end of JSON input"
        raise BadRequest(f"invalid continue token: continue key is not valid{why}") from None
    return revision, key


class BadToken(Exception):
    """What is wrong with a continue token."""
