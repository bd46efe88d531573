"""What one HTTP request asks for, parsed once: who, what verb, which object.

The rules by which a path becomes a verb, a resource and a name are those of Kubernetes's RequestInfo; authorisation,
admission and the verbs all read them from here. Nothing in this module looks at objects or at the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from timonier.api.kinds import Kind
from timonier.apiserver.negotiate import PLAIN, Accepted

if TYPE_CHECKING:
    from timonier.apiserver.audit.record import Record

Object = dict[str, Any]
"""An API object as the server handles it: plain JSON values."""

ANONYMOUS = "system:anonymous"
AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP, MASTERS_GROUP = (
    "system:authenticated", "system:unauthenticated", "system:masters")


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. `extra` holds what the authenticator adds, such as the pod that a token is bound to."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


SERVER = User("system:apiserver", groups=(MASTERS_GROUP, AUTHENTICATED_GROUP))
"""The identity under which the API server itself writes."""


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """A path and method, taken apart. Outside /api and /apis, `is_resource` is false and `verb` is the method."""

    is_resource: bool
    path: str
    verb: str
    prefix: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    rest: tuple[str, ...] = ()
    """Path segments below the subresource, as the proxy subresources have them."""


class Warner(Protocol):
    """Takes a warning that the user gets as a `Warning` header."""

    def __call__(self, text: str) -> None: ...


class Seat(Protocol):
    """What a request has while it is let in; see `apiserver.fairness`."""

    def leave(self) -> None: ...


def unheard(text: str) -> None:
    """The warner of requests that nobody reads the headers of."""


class Annotator(Protocol):
    """Takes a note for the audit log: a key and a value, and the level of auditing from which on it is kept."""

    def __call__(self, key: str, value: str, level: str = "Metadata") -> None: ...


def unwritten(key: str, value: str, level: str = "Metadata") -> None:
    """The annotator of requests that are not audited."""


@dataclass(slots=True)
class Passage:
    """One request's way through admission, which it takes a second time where a webhook changed the object."""

    second: bool = False
    """Whether this is the second time."""
    wanted: bool = False
    """Whether a second time is called for."""
    memory: dict[str, Any] = field(default_factory=dict)
    """What plugins keep from the first time for the second, each under its name."""


@dataclass(slots=True)
class Attributes:
    """What authorisation and admission decide upon; never changed. Two are made for each write, and to have that
    enforced (`frozen`) takes as long as all that authorisation decides.

    `operation` (CREATE, UPDATE, DELETE, CONNECT), `options` and `dry_run` matter to admission alone; `path` to
    authorisation of requests that are not for resources.
    """

    user: User
    verb: str
    is_resource: bool = True
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    """What the field selector of a list or watch demands exactly, such as `spec.nodeName`."""
    field_selector: str = ""
    label_selector: str = ""
    """The selectors of a list, watch or deletecollection, as they came."""
    kind: Kind | None = None
    operation: str = ""
    options: Object = field(default_factory=dict)
    dry_run: bool = False
    warn: Warner = unheard
    annotate: Annotator = unwritten
    passage: Passage = field(default_factory=Passage)


@dataclass(slots=True)
class Request:
    """One request on its way through the server.

    Header names are lower-case; where a header or a query parameter is repeated, headers have the values joined by a
    comma and `query` a list of them. `body` is complete. `user` is set by authentication, before anything else
    reads it.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    info: RequestInfo
    raw_headers: Sequence[tuple[bytes, bytes]] = ()
    """The headers as they came, repeated ones apart."""
    kind: Kind | None = None
    """The kind that the path names, where the server serves it."""
    form: Accepted = PLAIN
    """In what form the client wants the answer; known once the kind is."""
    body: bytes = b""
    user: User = User(ANONYMOUS, groups=(UNAUTHENTICATED_GROUP,))
    peer_certificate: bytes | None = None
    """The client's certificate (DER), verified against the cluster's CA; None where it sent none."""
    uri: str = ""
    """Path and query as they stood in the request line."""
    client: str = ""
    """The address that the request came from."""
    audit_id: str = ""
    warnings: list[str] = field(default_factory=list)
    audit_annotations: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Notes for the audit log by key: each the value, and the level of auditing from which on it is kept."""
    marks: tuple[tuple[bytes, bytes], ...] = ()
    """Headers of the answer, whatever it is, that tell how the request was treated."""
    audit: Record | None = None
    """What the audit log is told of the request; None where nothing is."""
    seat: Seat | None = None
    underway: bool = False
    """Whether an answer that somebody else gives is being sent already, as it comes."""
    take_over: Callable[[], Any] | None = None
    """Hands out the connection (`kit.serve.Taken`) to a stream that outlives request and response."""

    @property
    def verb(self) -> str:
        return self.info.verb

    @property
    def namespace(self) -> str:
        return self.info.namespace

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def subresource(self) -> str:
        return self.info.subresource

    def parameter(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def values(self, header: str) -> list[str]:
        """Every value of a header that may be repeated; its name is given in lower case."""
        wanted = header.encode("latin-1")
        return [value.decode("utf-8", "replace") for name, value in self.raw_headers if name == wanted]

    def flag(self, name: str) -> bool:
        """A boolean query parameter, read as Kubernetes does: present and neither `0` nor `false` is true."""
        values = self.query.get(name)
        return bool(values) and values[0].lower() not in ("0", "false") if values else False

    def begun(self) -> None:
        """Let others have the request's seats: what there was to do for it at once is done."""
        if self.seat is not None:
            self.seat.leave()

    def warn(self, text: str) -> None:
        """Have a `Warning` header in the answer, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def warning_headers(self) -> list[tuple[bytes, bytes]]:
        """What the user is to be warned of, as headers of the answer."""
        return [(b"warning", warning(text)) for text in self.warnings]

    def annotate(self, key: str, value: str, level: str = "Metadata") -> None:
        """Have a note in the audit log, where the request is in it. What was said first stands."""
        if self.audit is not None:
            self.audit_annotations.setdefault(key, (value, level))

    def attributes(self, *, operation: str = "", **changes: Any) -> Attributes:
        """This request as authorisation and admission see it: a list of one name counts as asking for that name."""
        info = self.info
        selecting = info.verb in SELECTING_VERBS
        field_selector, label_selector = (self.parameter("fieldSelector"), self.parameter("labelSelector")) \
            if selecting else ("", "")
        fields = demanded(field_selector) if field_selector else {}
        name = info.name or ("" if info.verb == "deletecollection" else fields.get("metadata.name", ""))
        made = Attributes(
            self.user, info.verb, info.is_resource, info.group, info.version, info.resource, info.subresource,
            info.namespace, name, info.path, fields, field_selector, label_selector, self.kind, operation,
            dry_run="All" in self.query.get("dryRun", ()), warn=self.warn,
            annotate=self.annotate)
        return replace(made, **changes) if changes else made


def warning(text: str) -> bytes:
    """A Warning header's value (RFC 7234): code 299, no agent, and the text quoted."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    quoted = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{quoted}"'.encode()


def demanded(selector: str) -> dict[str, str]:
    """The fields that a selector (`spec.nodeName=n1,status.phase!=Failed`) ties to one value, with that value."""
    clauses = (clause.replace("==", "=").partition("=") for clause in selector.split(",") if "!=" not in clause)
    return {name.strip(): value.strip() for name, sign, value in clauses if sign}


SELECTING_VERBS = frozenset({"list", "watch", "deletecollection"})
METHOD_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


def parse(method: str, path: str, query: Mapping[str, list[str]]) -> RequestInfo:
    """Take a path apart as Kubernetes's RequestInfoFactory does.

    `/api/v1/namespaces/x` is the namespace x (and its namespace is x too); `/api/v1/namespaces/x/pods` are pods in it.
    """
    return taken_apart(method, path, bool(query) and truth(query, "watch"))


@lru_cache(maxsize=4096)
def taken_apart(method: str, path: str, watching: bool) -> RequestInfo:
    """`parse`, remembered: clients ask for the same few paths again and again."""
    parts = [part for part in path.split("/") if part]
    foreign = RequestInfo(False, path, method.lower())
    if not parts or parts[0] not in ("api", "apis"):
        return foreign
    prefix, group = parts[0], ""
    if prefix == "apis":
        if len(parts) < 4:
            return foreign
        group = parts[1]
        parts = parts[1:]
    elif len(parts) < 3:
        return foreign
    version, parts = parts[1], parts[2:]
    deprecated_watch = parts[0] == "watch" and len(parts) > 1
    if deprecated_watch:
        parts = parts[1:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    resource, name, subresource = (*parts, "", "", "")[:3]
    verb = METHOD_VERBS.get(method, method.lower())
    if not name:
        verb = collection_verb(verb, watching)
    if deprecated_watch and method == "GET":
        verb = "watch"
    return RequestInfo(True, path, verb, prefix, group, version, resource, subresource, namespace, name,
                       tuple(parts[3:]))


def collection_verb(verb: str, watching: bool) -> str:
    if verb == "get":
        return "watch" if watching else "list"
    return "deletecollection" if verb == "delete" else verb


def truth(query: Mapping[str, list[str]], name: str) -> bool:
    values = query.get(name)
    return bool(values) and values[0].lower() not in ("0", "false") if values else False
