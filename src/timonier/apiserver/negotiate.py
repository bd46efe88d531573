"""In what form an answer is wanted: the `Accept` header, as Kubernetes reads it.

Known forms are JSON, YAML and protobuf, of the object itself, of a Table, or of its metadata alone. Custom objects have
no messages, so of them protobuf has only the metadata; of a Table it has nothing. What a client asks for that there is
not is passed over in favour of the next that it takes.
Source: Kubernetes API concepts, "Alternate representations of resources" and "Receiving resources as Tables".
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from timonier.api.errors import NotAcceptable
from timonier.api.kinds import Kind, Subresource
from timonier.api.protobuf import MEDIA_TYPE as PROTOBUF
from timonier.apiserver import documents
from timonier.apiserver.documents import Clause

if TYPE_CHECKING:
    from timonier.apiserver.request import Request

JSON, YAML = "application/json", "application/yaml"
MEDIA_TYPES = (JSON, YAML, PROTOBUF)
"""What there is, in the order in which a wildcard chooses."""
STREAMED = (JSON, PROTOBUF)
META_VERSIONS = ("v1", "v1beta1")
FORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
WATCHING = ";stream=watch"
PEOPLE = ("curl", "Wget", "Mozilla/5.0")
"""How the User-Agent of clients begins behind which somebody reads."""
NO_TABLES = frozenset({
    "v1/Binding", "authentication.k8s.io/v1/SelfSubjectReview", "authentication.k8s.io/v1/TokenReview",
    "authorization.k8s.io/v1/LocalSubjectAccessReview",
    "authorization.k8s.io/v1/SelfSubjectAccessReview", "authorization.k8s.io/v1/SelfSubjectRulesReview",
    "authorization.k8s.io/v1/SubjectAccessReview"})
"""Kinds that are never stored, and of which nobody asks for columns."""


class Accepted(NamedTuple):
    """What the client gets: the media type, what to show (empty: the object), in which version of meta.k8s.io."""

    media_type: str = JSON
    form: str = ""
    version: str = "v1"
    pretty: bool = False
    """JSON with line breaks, for people."""

    @property
    def whole(self) -> Accepted:
        """The same without what is to be shown of an object: for Status and for lists of what was deleted."""
        return self._replace(form="") if self.form else self


PLAIN = Accepted()


def of_request(request: Request, kind: Kind, part: Subresource | None = None) -> Accepted:
    """What a request about a kind, or a part of it, wants. Raises NotAcceptable for what there is not."""
    other = part is not None and bool(part.kind)
    tables = part.kind == "Scale" if part is not None and other else kind.id not in NO_TABLES
    form = accepted(request.headers.get("accept", ""), other or kind.custom is None, tables, request.verb == "watch")
    return form._replace(pretty=True) if form.media_type == JSON and not form.pretty and pretty(request) else form


def of_failure(request: Request) -> Accepted:
    """In what form a request gets a Status; JSON where it takes nothing that there is."""
    try:
        form = accepted(request.headers.get("accept", ""), True, None, False)
    except NotAcceptable:
        form = Accepted(pretty=True)
    return form._replace(pretty=True) if form.media_type == JSON and not form.pretty and pretty(request) else form


def pretty(request: Request) -> bool:
    """Whether the client said that it wants line breaks, or is one of those that people look at."""
    if wish := request.parameter("pretty"):
        return wish in ("1", "t", "T", "TRUE", "true", "True")
    return request.headers.get("user-agent", "").startswith(PEOPLE)


@lru_cache(maxsize=1024)
def accepted(header: str, built_in: bool, tables: bool | None, watching: bool) -> Accepted:
    """The first form of an Accept header that there is: for built-in or custom kinds, with or without tables (None:
    with nothing but whole objects), for watches or for one answer. Raises NotAcceptable.
    """
    if not header:
        return PLAIN
    for clause in documents.accepted(header):
        for media_type in MEDIA_TYPES:
            if documents.takes(clause, media_type):
                found = offer(clause, media_type, built_in, tables)
                if found is not None:
                    if watching and media_type not in STREAMED:
                        raise not_acceptable(watching)
                    return found
    raise not_acceptable(watching)


def offer(clause: Clause, media_type: str, built_in: bool, tables: bool | None) -> Accepted | None:
    """What there is of what a clause asks for in a media type."""
    wish = clause.parameters
    form, group, version, stream = (wish.get(name, "") for name in ("as", "g", "v", "stream"))
    if (stream and (stream != "watch" or media_type not in STREAMED)) or wish.get("sv", "v1") not in ("", "v1"):
        return None
    breaks = wish.get("pretty") == "1"
    if not (form or group or version):
        return Accepted(media_type, pretty=breaks) if built_in or media_type != PROTOBUF else None
    if tables is None or form not in FORMS or group != "meta.k8s.io" or version not in META_VERSIONS:
        return None
    if form == "Table" and (not tables or media_type == PROTOBUF):
        return None
    return Accepted(media_type, form, version, breaks)


def not_acceptable(watching: bool) -> NotAcceptable:
    known = [f"{name}{WATCHING}" for name in STREAMED] if watching else MEDIA_TYPES
    return NotAcceptable(f"only the following media types are accepted: {', '.join(known)}")
