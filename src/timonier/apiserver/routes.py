"""Which code answers which request for a resource: a verb, a subresource, or a kind that is not stored."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from timonier.api.errors import MethodNotAllowed, NotFound, not_found
from timonier.api.kinds import Kind
from timonier.apiserver import negotiate
from timonier.apiserver.compression import compressed
from timonier.apiserver.documents import Answer
from timonier.apiserver.request import Request
from timonier.apiserver.verbs import create, delete, deletecollection, get, patch, update, watch
from timonier.apiserver.verbs import list as list_verb

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

COLLECTION: dict[str, Any] = {"list": list_verb, "watch": watch, "create": create, "deletecollection": deletecollection}
ONE: dict[str, Any] = {"get": get, "update": update, "patch": patch, "delete": delete, "watch": watch}
PLAIN_SUBRESOURCES = frozenset({"status"})
"""Subresources that are the object itself through another door: the verbs serve them."""
STREAMS = frozenset({"exec", "attach", "portforward", "log", "proxy"})
"""Subresources that may last, and whose answers are not objects."""
MODULES = {"ephemeralcontainers": "containers", "resize": "containers", "approval": "containers"}
"""Modules of `apiserver.subresources` that are not named after their subresource."""
NOT_STORED = {
    "v1/Binding": "timonier.apiserver.subresources.binding",
    "v1/ComponentStatus": "timonier.apiserver.subresources.components",
    **{f"{group}/v1/{kind}": "timonier.apiserver.subresources.review" for group, kind in (
        ("authentication.k8s.io", "SelfSubjectReview"), ("authentication.k8s.io", "TokenReview"),
        ("authorization.k8s.io", "LocalSubjectAccessReview"), ("authorization.k8s.io", "SelfSubjectAccessReview"),
        ("authorization.k8s.io", "SelfSubjectRulesReview"), ("authorization.k8s.io", "SubjectAccessReview"))},
}
"""Kinds whose objects are questions or orders, and the modules that answer them."""

NO_ROUTE = "404 page not found\n"


class NoRoute(NotFound):
    """A path that leads nowhere; answered as Go's router does."""

    plain = True


async def dispatch(server: ApiServer, request: Request) -> Answer | None:
    """Answer a request for a resource; None where a stream has already been sent.

    Raises NoRoute, MethodNotAllowed, and what the handler raises.
    """
    info, kind = request.info, request.kind
    if kind is None or not placed(kind, request):
        raise NoRoute(NO_ROUTE)
    if kind.deprecated:
        request.warn(kind.deprecated)
        request.annotate("k8s.io/deprecated", "true")
    if info.subresource in STREAMS:
        return await subresource(server, request, kind)
    answer = await answered(server, request, kind)
    return None if answer is None else await compressed(answer, request.headers)


async def answered(server: ApiServer, request: Request, kind: Kind) -> Answer | None:
    """Answer a request whose answer is an object or a list; None where it was a watch."""
    info = request.info
    if info.subresource:
        return await subresource(server, request, kind)
    if kind.id in NOT_STORED:
        if info.verb not in kind.verbs:
            raise not_allowed()
        request.form = negotiate.of_request(request, kind)
        answer: Answer | None = await importlib.import_module(NOT_STORED[kind.id]).serve(server, request)
        return answer
    verb = (ONE if info.name else COLLECTION).get(info.verb)
    if verb is None or info.verb not in kind.verbs or (request.method == "HEAD" and info.verb == "watch"):
        raise not_allowed()
    if kind.namespaced and not info.namespace and info.verb in ("create", "deletecollection"):
        raise not_allowed()
    request.form = negotiate.of_request(request, kind)
    found: Answer | None = await verb.serve(server, request, kind)
    return found


def placed(kind: Kind, request: Request) -> bool:
    """Whether a path names the kind in a place where it can be."""
    info = request.info
    if not kind.namespaced:
        return not info.namespace or kind.id == "v1/Namespace"
    if kind.custom is not None and not info.namespace:
        return info.verb in ("list", "watch") and not info.name
    return bool(info.namespace) or not info.name


async def subresource(server: ApiServer, request: Request, kind: Kind) -> Answer | None:
    info = request.info
    row = kind.subresource(info.subresource)
    if row is None and kind.custom is not None:
        raise not_found(kind.group, kind.plural, info.name)
    if row is None or (info.rest and info.subresource != "proxy"):
        raise NoRoute(NO_ROUTE)
    if info.verb not in row.verbs and (info.subresource, request.method) != ("proxy", "OPTIONS"):
        raise not_allowed()
    if info.subresource not in STREAMS:
        request.form = negotiate.of_request(request, kind, row)
    if info.subresource in PLAIN_SUBRESOURCES:
        answer: Answer | None = await ONE[info.verb].serve(server, request, kind)
        return answer
    module = importlib.import_module(
        f"timonier.apiserver.subresources.{MODULES.get(info.subresource, info.subresource)}")
    found: Answer | None = await module.serve(server, request)
    return found


def not_allowed() -> MethodNotAllowed:
    return MethodNotAllowed("the server does not allow this method on the requested resource")

