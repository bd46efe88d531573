"""/eviction: delete a pod, unless a PodDisruptionBudget says that too few would be left.

The budget's controller counts; here one disruption is taken from what it allows, with a write that can succeed for only
one of several evictions at a time. Source: Kubernetes documentation, "API-initiated Eviction".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from timonier.api import times
from timonier.api.errors import BadRequest, Cause, InternalError, TooManyRequests
from timonier.api.kinds import BY_ID
from timonier.api.selectors import BadSelector, Labels
from timonier.apiserver import bodies
from timonier.apiserver.admission.contract import CREATE
from timonier.apiserver.admitting import UNASKED
from timonier.apiserver.answers import encoded, success
from timonier.apiserver.documents import Answer
from timonier.apiserver.registry import Caller
from timonier.apiserver.request import Object, Request
from timonier.kit.clock import Time

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

POD, BUDGET = BY_ID["v1/Pod"], BY_ID["policy/v1/PodDisruptionBudget"]
EVICTION = "io.k8s.api.policy.v1.Eviction"
VIOLATION = "Cannot evict pod as it would violate the pod's disruption budget."
UNFIT_ALLOWED = "AlwaysAllow"


async def serve(server: ApiServer, request: Request) -> Answer:
    eviction = bodies.decode_as(request, "policy/v1", "Eviction", EVICTION)
    given = (eviction.get("metadata") or {}).get("name") or request.name
    if given != request.name:
        raise BadRequest(f"name in URL does not match name in Eviction object: {given} != {request.name}")
    options = eviction.get("deleteOptions") or {}
    dry_run = bodies.dry_run(request) or "All" in (options.get("dryRun") or ())
    author = Caller(request.user, dry_run, request.warn, options, request.annotate)
    attributes = request.attributes(operation=CREATE, dry_run=dry_run)
    await server.registry.admission.admit(attributes, eviction, None)
    await server.registry.admission.validate(attributes, eviction, None)
    pod = await server.registry.get(POD, request.namespace, request.name)
    if counts(pod):
        await take(server, pod, author)
    await server.registry.delete(POD, request.namespace, request.name, author, admission=UNASKED)
    return encoded(201, success() | {"code": 201}, request.form.whole)


def counts(pod: Object) -> bool:
    """Whether a budget has a say: not over pods that do not run, or are on their way out already."""
    status = pod.get("status") or {}
    return status.get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]


def healthy(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


async def take(server: ApiServer, pod: Object, author: Caller) -> None:
    """Take one disruption from the pod's budget, if it has one. Raises TooManyRequests and InternalError."""
    metadata = pod["metadata"]
    budgets = [budget for budget in server.registry.peek_all(BUDGET, metadata["namespace"]) if covers(budget, pod)]
    if len(budgets) > 1:
        raise InternalError("This pod has more than one PodDisruptionBudget, which the eviction subresource does not "
                            "support.")
    if not budgets:
        return
    now = server.clock.now()

    def edit(budget: Object) -> Object | None:
        return charged(budget, pod, now)

    await server.registry.change(BUDGET, metadata["namespace"], budgets[0]["metadata"]["name"], edit, "status",
                                 Caller(dry_run=author.dry_run))


def covers(budget: Object, pod: Object) -> bool:
    try:
        return Labels.of((budget.get("spec") or {}).get("selector")).matches(pod["metadata"].get("labels"))
    except BadSelector:
        return False


def charged(budget: Object, pod: Object, now: Time) -> Object | None:
    """The budget after this eviction; None where it costs nothing. Raises TooManyRequests."""
    status, spec, metadata = dict(budget.get("status") or {}), budget.get("spec") or {}, budget["metadata"]
    if not healthy(pod) and (spec.get("unhealthyPodEvictionPolicy") == UNFIT_ALLOWED
                             or status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0):
        return None
    name = metadata["name"]
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        raise TooManyRequests(VIOLATION, retry_after=10, causes=[Cause(
            "DisruptionBudget", "", f"The disruption budget {name} is still being processed by the server.")])
    if status.get("disruptionsAllowed", 0) <= 0:
        raise TooManyRequests(VIOLATION, causes=[Cause(
            "DisruptionBudget", "", f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy "
            f"pods and has {status.get('currentHealthy', 0)} currently")])
    status["disruptionsAllowed"] -= 1
    status["disruptedPods"] = (status.get("disruptedPods") or {}) | {pod["metadata"]["name"]: times.rfc3339(now)}
    return budget | {"status": status}
