"""The operations of the API, one for each verb of each kind and subresource, in a form that is neither v2 nor v3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from timonier.api.kinds import Kind, Subresource
from timonier.api.schema import definitions

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
STATUS, DELETE_OPTIONS, PATCH = f"{META}Status", f"{META}DeleteOptions", f"{META}Patch"
PRODUCED = ("application/json", "application/yaml")
STREAMED = (*PRODUCED, "application/json;stream=watch")
PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
           "application/apply-patch+yaml")


class Parameter(NamedTuple):
    """A query or path parameter."""

    name: str
    type: str
    description: str
    place: str = "query"

    @property
    def required(self) -> bool:
        return self.place == "path"


class GVK(NamedTuple):
    group: str
    kind: str
    version: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `body` and `result` are names of definitions."""

    path: str
    method: str
    id: str
    tag: str
    action: str
    description: str
    gvk: GVK
    parameters: tuple[Parameter, ...]
    codes: tuple[int, ...] = (200,)
    body: str = ""
    consumes: tuple[str, ...] = ("*/*",)
    produces: tuple[str, ...] = PRODUCED
    result: str = ""


PRETTY = Parameter("pretty", "string", "If 'true', the output is indented for people to read.")
NAME = Parameter("name", "string", "name of the {kind}", "path")
NAMESPACE = Parameter("namespace", "string", "object name and auth scope, such as for teams and projects", "path")
DRY_RUN = Parameter("dryRun", "string", "When present, nothing is stored. The only valid value is All.")
MANAGER = Parameter("fieldManager", "string", "Name of the actor that makes the change, of at most 128 characters.")
VALIDATION = Parameter("fieldValidation", "string", "What to do about unknown and duplicate fields: Ignore them, Warn "
                       "about each (the default), or Strict, which refuses the request.")
FORCE = Parameter("force", "boolean", "Whether an apply takes over fields that others manage.")
WRITING = (DRY_RUN, MANAGER, VALIDATION)
LISTING = tuple(Parameter(*row) for row in (
    ("allowWatchBookmarks", "boolean", "Whether a watch gets BOOKMARK events, which carry a resourceVersion alone."),
    ("continue", "string", "Where to go on with a list that a limit cut off, as the server said."),
    ("fieldSelector", "string", "Selects objects by their fields. Everything by default."),
    ("labelSelector", "string", "Selects objects by their labels. Everything by default."),
    ("limit", "integer", "Most objects that one answer to a list may hold."),
    ("resourceVersion", "string", "Which version of the data to serve from; see resourceVersionMatch."),
    ("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
    ("sendInitialEvents", "boolean", "Whether a watch begins with the objects that exist, and a bookmark after them."),
    ("timeoutSeconds", "integer", "How long a list or watch may take."),
    ("watch", "boolean", "Stream changes instead of listing.")))
DELETING = (DRY_RUN, *(Parameter(*row) for row in (
    ("gracePeriodSeconds", "integer", "Seconds until the object is gone; 0 is at once, none is the kind's default."),
    ("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean", "Not supported here; leave it out."),
    ("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
    ("propagationPolicy", "string", "What becomes of dependents: Orphan, Background or Foreground."))))
OPTIONS: dict[str, tuple[Parameter, ...]] = {
    "log": tuple(Parameter(*row) for row in (
        ("container", "string", "The container; may be left out where there is one."),
        ("follow", "boolean", "Go on with what will be logged."), ("limitBytes", "integer", "Most bytes to send."),
        ("previous", "boolean", "The container as it was before it was restarted."),
        ("sinceSeconds", "integer", "Nothing older than this."), ("tailLines", "integer", "The last lines alone."),
        ("timestamps", "boolean", "Each line with its moment."))),
    "exec": tuple(Parameter(*row) for row in (
        ("command", "string", "What to run, one parameter for each word."), ("container", "string", "The container."),
        ("stderr", "boolean", "Redirect standard error."), ("stdin", "boolean", "Redirect standard input."),
        ("stdout", "boolean", "Redirect standard output."), ("tty", "boolean", "Allocate a terminal."))),
    "portforward": (Parameter("ports", "integer", "Ports to forward."),),
    "proxy": (Parameter("path", "string", "The path to ask for."),),
}
OPTIONS["attach"] = OPTIONS["exec"][1:]
CONNECTING = frozenset({"attach", "exec", "portforward", "proxy"})


class Verb(NamedTuple):
    """How a verb appears in a document."""

    method: str
    action: str
    prefix: str
    description: str
    parameters: tuple[Parameter, ...] = ()


VERBS = {
    "list": Verb("get", "list", "list", "list or watch objects of kind {}", LISTING),
    "create": Verb("post", "post", "create", "create a {}", WRITING),
    "deletecollection": Verb("delete", "deletecollection", "deleteCollection", "delete a collection of {}",
                             (*DELETING, *LISTING[1:-1])),
    "get": Verb("get", "get", "read", "read the specified {}"),
    "update": Verb("put", "put", "replace", "replace the specified {}", WRITING),
    "patch": Verb("patch", "patch", "patch", "partially update the specified {}", (*WRITING, FORCE)),
    "delete": Verb("delete", "delete", "delete", "delete a {}", DELETING),
}
COLLECTION = ("list", "create", "deletecollection")
ONE = ("get", "update", "patch", "delete")
CODES = {"create": (200, 201, 202), "update": (200, 201), "patch": (200, 201), "delete": (200, 202)}


def operations(kinds: Sequence[Kind]) -> Iterator[Operation]:
    """Every operation of some kinds, by path."""
    for kind in sorted(kinds, key=lambda kind: kind.plural):
        whole, one = kind.path("{namespace}"), kind.path("{namespace}", "{name}")
        for verb in COLLECTION:
            if verb in kind.verbs:
                yield operation(kind, verb, whole)
        if kind.namespaced and "list" in kind.verbs:
            yield operation(kind, "list", kind.path(), everywhere=True)
        for verb in ONE:
            if verb in kind.verbs:
                yield operation(kind, verb, one)
        for sub in sorted(kind.subresources, key=lambda sub: sub.name):
            for verb in sub.verbs:
                yield operation(kind, verb, f"{one}/{sub.name}", sub)


def operation(kind: Kind, verb: str, path: str, sub: Subresource | None = None, *,
              everywhere: bool = False) -> Operation:
    row = VERBS[verb]
    foreign = sub is not None and bool(sub.kind)
    gvk = GVK(sub.group, sub.kind, sub.version) if sub and foreign else GVK(kind.group, kind.kind, kind.version)
    connect = sub is not None and sub.name in CONNECTING
    prefix, action = (f"connect{row.method.capitalize()}", "connect") if connect else (row.prefix, row.action)
    scope = "Namespaced" if kind.namespaced and not everywhere else ""
    tail = (camel(sub.name) if sub else "") + ("ForAllNamespaces" if everywhere else "")
    what = f"{sub.name} of the {kind.kind}" if sub else kind.kind
    return Operation(
        path=path, method=row.method, id=f"{prefix}{group_title(kind)}{scope}{kind.kind}{tail}", tag=tag(kind),
        action=action, description=row.description.format(what), gvk=gvk,
        parameters=(*path_parameters(kind, path), PRETTY, *(OPTIONS.get(sub.name, ()) if sub else ()),
                    *(() if connect else row.parameters)),
        codes=(200,) if connect else CODES.get(verb, (200,)), body="" if connect else body_of(kind, verb, sub),
        consumes=patches(kind) if verb == "patch" and not connect else ("*/*",),
        produces=STREAMED if verb == "list" else ("*/*",) if connect else PRODUCED,
        result="" if connect or (sub and sub.name == "log") else result_of(kind, verb, sub))


def patches(kind: Kind) -> tuple[str, ...]:
    """The forms of patches that a kind takes; nobody knows how to merge custom ones strategically."""
    return PATCHES if kind.custom is None else tuple(name for name in PATCHES if "strategic" not in name)


def path_parameters(kind: Kind, path: str) -> tuple[Parameter, ...]:
    name = NAME._replace(description=NAME.description.format(kind=kind.kind))
    return tuple(parameter for parameter in (name, NAMESPACE) if f"{{{parameter.name}}}" in path)


def definition_of(kind: Kind, sub: Subresource | None) -> str:
    """The definition of what a path takes and gives."""
    if sub is None or not sub.kind:
        return kind.definition
    package = f"io.k8s.api.{sub.group.split('.')[0] or 'core'}.{sub.version}.{sub.kind}"
    return package if package in definitions() else kind.definition


def body_of(kind: Kind, verb: str, sub: Subresource | None) -> str:
    if verb == "patch":
        return PATCH
    if verb in ("delete", "deletecollection"):
        return DELETE_OPTIONS
    return definition_of(kind, sub) if verb in ("create", "update") else ""


def result_of(kind: Kind, verb: str, sub: Subresource | None) -> str:
    if verb in ("delete", "deletecollection"):
        return STATUS
    return kind.list_definition if verb == "list" else definition_of(kind, sub)


def group_title(kind: Kind) -> str:
    """`CoreV1`, `RbacAuthorizationV1`."""
    return "".join(camel(part) for part in group_words(kind)) + camel(kind.version)


def tag(kind: Kind) -> str:
    first, *rest = group_words(kind)
    return first + "".join(camel(part) for part in rest) + f"_{kind.version}"


def group_words(kind: Kind) -> list[str]:
    return kind.group.removesuffix(".k8s.io").split(".") if kind.group else ["core"]


def camel(word: str) -> str:
    return word[:1].upper() + word[1:]
