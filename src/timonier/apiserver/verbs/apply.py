"""PATCH with an applied configuration: server-side apply, of an object or of one of its subresources.

What is not there is created by it. Where somebody else was faster, the configuration is applied to what they made.
Source: Kubernetes documentation, "Server-Side Apply".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from timonier.api import check
from timonier.api.errors import BadRequest, Cause, conflict, invalid
from timonier.api.kinds import Kind
from timonier.apiserver import bodies
from timonier.apiserver.answers import of_written
from timonier.apiserver.documents import Answer
from timonier.apiserver.registry import Edit
from timonier.apiserver.request import Object, Request
from timonier.apiserver.verbs.create import caller

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

MEDIA_TYPE = "application/apply-patch+yaml"


async def serve(server: ApiServer, request: Request, kind: Kind) -> Answer:
    author, edit = caller(request), edit_of(server, request, kind)
    created = False

    async def permit() -> None:
        nonlocal created
        await server.authoriser.demand(request.attributes(verb="create"))
        created = True

    applied = await server.registry.change(
        kind, request.namespace, request.name, edit, request.subresource, author, verb="patch",
        create=None if request.subresource else permit, record=False)
    return of_written(server, request, kind, applied, 201 if created else 200)


def as_it_is(config: Object) -> Object:
    """All of a configuration."""
    return config


def edit_of(server: ApiServer, request: Request, kind: Kind, part: Callable[[Object], Object] = as_it_is) -> Edit:
    """What the configuration in a request, or a part of it, makes of an object, its managedFields included.

    The edit raises Conflict where fields are somebody else's and the request does not force it.
    """
    manager, config, subresource = applier(request), part(configuration(request, kind)), request.subresource
    resets = server.registry.strategy(kind).resets(kind, subresource)

    async def edit(live: Object) -> Object:
        applied = await server.registry.ownership.apply(kind, live or None, config, manager, subresource, resets,
                                                        force=request.flag("force"))
        return settled(request, kind, live, applied)
    return edit


def settled(request: Request, kind: Kind, live: Object, applied: Object) -> Object:
    """The merged object with the structure of its kind, under the name of the request. Raises BadRequest, Conflict."""
    managed = applied["metadata"].pop("managedFields", None)
    obj = kind.shape.check(applied).obj
    metadata = obj["metadata"]
    if not live and metadata.get("uid"):
        raise conflict(kind.group, kind.plural, request.name, "uid mismatch: the provided object specified uid "
                       f"{metadata['uid']}, and no existing object was found")
    name, namespace = metadata.get("name") or "", metadata.get("namespace") or ""
    if kind.namespaced and namespace and namespace != request.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    if not name:
        raise BadRequest(f"the name of the object ({request.name} based on URL) was undeterminable: name must be "
                         "provided")
    if name != request.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({request.name})")
    if managed is not None:
        metadata["managedFields"] = managed
    return obj


def applier(request: Request) -> str:
    """The name of who applies. Raises Invalid where it is missing: whoever applies, owns, and so has to have a name."""
    name = bodies.field_manager(request)
    if not name:
        raise invalid("meta.k8s.io", "PatchOptions", "", [
            Cause("FieldValueRequired", "fieldManager", "Required value: is required for apply patch")])
    return name


def configuration(request: Request, kind: Kind) -> Object:
    """The body: YAML, of which JSON is a part. Raises BadRequest."""
    mode = bodies.field_validation(request)
    config, complaints = parsed(request.body)
    if config is None:
        config = {}
    if not isinstance(config, dict):
        raise BadRequest("error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
                         f"{check.go_value(config)} into Go value of type map[string]interface {{}}")
    for complaint in complaints if mode != "Ignore" else ():
        if mode == "Strict":
            raise BadRequest(f"error strict decoding YAML: {complaint}")
        request.warn(complaint)
    return config


def parsed(body: bytes) -> tuple[object, list[str]]:
    """What a body says, and what is wrong with keys that it says twice."""
    from timonier.api.duplicates import duplicates
    from timonier.apiserver import yamls

    try:
        return orjson.loads(body), yamls.complaints(body) if duplicates(body) else []
    except orjson.JSONDecodeError:
        pass
    try:
        return yamls.load(body), yamls.complaints(body)
    except yamls.BadYaml as error:
        raise BadRequest(f"error decoding YAML: error converting YAML to JSON: {error}") from None
