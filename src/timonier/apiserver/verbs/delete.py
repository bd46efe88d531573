"""DELETE of one object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timonier.api.errors import BadRequest
from timonier.api.kinds import Kind
from timonier.apiserver import bodies
from timonier.apiserver.answers import encoded, of_object, success
from timonier.apiserver.deletion import JOB_WARNING
from timonier.apiserver.documents import Answer
from timonier.apiserver.registry import Caller
from timonier.apiserver.request import Object, Request

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

OPTIONS = Kind("", "v1", "DeleteOptions", "", definition="io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
RETURNED = frozenset({"v1/Pod", "v1/Service", "v1/ServiceAccount", "v1/PodTemplate", "v1/ResourceQuota",
                      "v1/PersistentVolume", "v1/PersistentVolumeClaim", "v1/Namespace",
                      "storage.k8s.io/v1/StorageClass", "storage.k8s.io/v1/CSIDriver", "storage.k8s.io/v1/CSINode",
                      "storage.k8s.io/v1/VolumeAttachment"})
"""Kinds whose last state is the answer; of all others a Status says that they are gone."""


async def serve(server: ApiServer, request: Request, kind: Kind) -> Answer:
    options = delete_options(request)
    if kind.id == "batch/v1/Job" and "propagationPolicy" not in options and "orphanDependents" not in options:
        request.warn(JOB_WARNING)
    obj, gone = await server.registry.delete(kind, request.namespace, request.name, caller(request, options))
    status = 202 if not gone and options.get("orphanDependents") is False else 200
    if gone and kind.id not in RETURNED:
        return encoded(status, success(name=request.name, group=kind.group, kind=kind.plural,
                                       uid=obj["metadata"].get("uid", "")), request.form.whole)
    return of_object(request, kind, obj, server.clock.now(), status)


def caller(request: Request, options: Object) -> Caller:
    dry_run = bodies.dry_run(request) or "All" in (options.get("dryRun") or ())
    return Caller(request.user, dry_run, request.warn, options, request.annotate)


def delete_options(request: Request) -> Object:
    """The options, from the body or, where that is empty, from the query. Raises BadRequest and Invalid."""
    if request.body:
        return from_body(request)
    options: Object = {}
    if seconds := request.parameter("gracePeriodSeconds"):
        if not seconds.lstrip("-").isdigit():
            raise BadRequest(f'strconv.ParseInt: parsing "{seconds}": invalid syntax')
        options["gracePeriodSeconds"] = int(seconds)
    if policy := request.parameter("propagationPolicy"):
        options["propagationPolicy"] = policy
    if "orphanDependents" in request.query:
        options["orphanDependents"] = request.flag("orphanDependents")
    return options


def from_body(request: Request) -> Object:
    """DeleteOptions belong to every group, so any of its versions may stand there."""
    value, _ = bodies.parse(request, "DeleteOptions")
    if not isinstance(value, dict):
        raise BadRequest("the object provided is unrecognized (must be of type DeleteOptions)")
    if value.get("kind", "DeleteOptions") != "DeleteOptions":
        raise BadRequest(f"decoded object cannot be converted to DeleteOptions: it is a {value['kind']}")
    return bodies.checked(value, OPTIONS, request)
