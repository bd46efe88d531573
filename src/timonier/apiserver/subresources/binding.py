"""/binding: put a pod onto a node. Only a pod that is not bound and not being deleted can be; exactly one binding wins.

Also answers `POST /bindings`, where the body names the pod.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from timonier.api import times
from timonier.api.errors import BadRequest, Cause, Conflict, conflict, invalid
from timonier.api.kinds import BY_ID
from timonier.apiserver import bodies
from timonier.apiserver.admission.contract import CREATE
from timonier.apiserver.admitting import UNASKED
from timonier.apiserver.answers import encoded, success
from timonier.apiserver.documents import Answer
from timonier.apiserver.request import Object, Request
from timonier.apiserver.verbs.create import caller
from timonier.kit.clock import Time

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

POD, BINDING = BY_ID["v1/Pod"], BY_ID["v1/Binding"]


async def serve(server: ApiServer, request: Request) -> Answer:
    binding = bodies.decode(request, BINDING)
    metadata = binding.setdefault("metadata", {})
    name = request.name if request.kind is POD else metadata.get("name", "")
    if not name:
        raise BadRequest("name is required")
    if metadata.get("name", name) != name:
        raise BadRequest(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    if metadata.get("namespace") not in (None, "", request.namespace):
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    metadata |= {"name": name, "namespace": request.namespace}
    author = caller(request)
    attributes = request.attributes(operation=CREATE, name=name, options=author.options)
    await server.registry.admission.admit(attributes, binding, None)
    target = binding.get("target") or {}
    refuse_invalid(name, target)
    await server.registry.admission.validate(attributes, binding, None)
    metadata, now = binding["metadata"], server.clock.now()

    def edit(pod: Object) -> Object:
        return bound(pod, target["name"], metadata, now)

    await server.registry.change(POD, request.namespace, name, edit, "binding", author, verb="create",
                                 record=False, admission=UNASKED)
    return encoded(201, success() | {"code": 201}, request.form.whole)


def refuse_invalid(name: str, target: Object) -> None:
    wrong = []
    if target.get("kind") not in (None, "", "Node"):
        wrong.append(Cause("FieldValueNotSupported", "target.kind",
                           f'Unsupported value: "{target["kind"]}": supported values: "Node", "<empty>"'))
    if not target.get("name"):
        wrong.append(Cause("FieldValueRequired", "target.name", "Required value"))
    if wrong:
        raise invalid("", "Binding", name, wrong)


def bound(pod: Object, node: str, binding: Object, now: Time) -> Object:
    """The pod on its node, scheduled as of now, with the binding's annotations and labels. Raises Conflict."""
    metadata, spec, status = dict(pod["metadata"]), dict(pod["spec"]), dict(pod.get("status") or {})
    name = metadata["name"]
    if binding.get("uid") and binding["uid"] != metadata["uid"]:
        raise conflict("", "pods/binding", name, f"Precondition failed: UID in precondition: {binding['uid']}, "
                                                 f"UID in object meta: {metadata['uid']}")
    if "deletionTimestamp" in metadata:
        raise refused(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise refused(name, f"pod {name} is already assigned to node \"{spec['nodeName']}\"")
    if spec.get("schedulingGates"):
        raise refused(name, f"pod {name} has non-empty .spec.schedulingGates")
    spec["nodeName"] = node
    status.pop("nominatedNodeName", None)  # a nomination holds until there is a place
    for field in ("annotations", "labels"):
        if binding.get(field):
            metadata[field] = (metadata.get(field) or {}) | binding[field]
    conditions = [c for c in status.get("conditions") or () if c.get("type") != "PodScheduled"]
    status["conditions"] = [*conditions, {"type": "PodScheduled", "status": "True",
                                          "lastTransitionTime": times.rfc3339(now)}]
    return pod | {"metadata": metadata, "spec": spec, "status": status}


def refused(name: str, why: str) -> Conflict:
    return conflict("", "pods/binding", name, why)
