"""What the status of a CustomResourceDefinition says: accepted names, and conditions. Pure.

Names within a group belong to whoever had them first. A definition is established once all of its names are its own;
from then on it stays so, whatever its names become.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from timonier.api import times
from timonier.kit.clock import Time

Object = dict[str, Any]

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that keeps a definition for as long as it has objects."""
CONFLICTS = {"plural": "PluralConflict", "singular": "SingularConflict", "kind": "KindConflict",
             "listKind": "ListKindConflict"}


class Condition(NamedTuple):
    """A condition without its times."""

    type: str
    status: str
    reason: str
    message: str


Judge = Callable[[Object], Condition | None]
ACCEPTED = Condition("NamesAccepted", "True", "NoConflicts", "no conflicts found")
ESTABLISHED = Condition("Established", "True", "InitialNamesAccepted", "the initial names have been accepted")
NOT_ACCEPTED = Condition("Established", "False", "NotAccepted", "not all names are accepted")
BAD_BUNDLE = Condition("Established", "False", "InvalidCABundle", "The conversion webhook CABundle is invalid")
IN_PROGRESS = Condition("Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
COMPLETED = Condition("Terminating", "False", "InstanceDeletionCompleted", "removed all instances")
NEVER_ESTABLISHED = Condition("Terminating", "False", "NeverEstablished", "resource was never established")


def condition_of(status: Object, kind: str) -> Object | None:
    return next((found for found in status.get("conditions") or () if found.get("type") == kind), None)


def is_true(definition: Object, kind: str) -> bool:
    """Whether a condition of a definition holds."""
    found = condition_of(definition.get("status") or {}, kind)
    return found is not None and found.get("status") == "True"


def with_condition(status: Object, condition: Sequence[str], now: Time) -> Object:
    """A status with a condition; its time is that of the last change from one status to another."""
    kind, value, reason, message = condition
    before = condition_of(status, kind)
    moment = before["lastTransitionTime"] if before and before.get("status") == value \
        and before.get("lastTransitionTime") else times.rfc3339(now)
    made = {"type": kind, "status": value, "lastTransitionTime": moment, "reason": reason, "message": message}
    others = list(status.get("conditions") or ())
    places = [index for index, found in enumerate(others) if found.get("type") == kind]
    if places:
        others[places[0]] = made
    else:
        others.append(made)
    return status | {"conditions": others}


def without_condition(status: Object, kind: str) -> Object:
    if condition_of(status, kind) is None:
        return status
    return status | {"conditions": [found for found in status["conditions"] if found.get("type") != kind]}


def status_of(definition: Object, others: Iterable[Object], now: Time, judge: Judge) -> Object:
    """The status that a definition is to have, among the definitions of its group, itself with them.

    `judge` is `defects`, or remembers what that said.
    """
    status: Object = definition.get("status") or {}
    wanted = definition["spec"]["names"]
    if wanted != status.get("acceptedNames"):
        accepted, named = names(wanted, status.get("acceptedNames") or {}, others)
        status = with_condition(status | {"acceptedNames": accepted}, named, now)
        if condition_of(status, "Established") is None:
            status = with_condition(status, NOT_ACCEPTED, now)
    established = is_true({"status": status}, "Established")
    if not established and is_true({"status": status}, "NamesAccepted"):
        status = with_condition(status, ESTABLISHED if trusts(definition) else BAD_BUNDLE, now)
    status = approved(definition, status, now)
    generation = definition["metadata"].get("generation", 0)
    if status.get("observedGeneration") == generation:
        return status
    return structural(definition, status, now, judge) | {"observedGeneration": generation}


def names(wanted: Object, had: Object, others: Iterable[Object]) -> tuple[Object, Condition]:
    """The names that a definition gets of those that it wants, and the condition that tells of the rest."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        theirs = (other.get("status") or {}).get("acceptedNames") or {}
        resources |= {theirs.get("plural", ""), theirs.get("singular", ""), *(theirs.get("shortNames") or ())}
        kinds |= {theirs.get("kind", ""), theirs.get("listKind", "")}
    accepted, condition = dict(had), ACCEPTED

    def claim(field: str, taken: set[str]) -> None:
        nonlocal condition
        name = wanted.get(field, "")
        if name != had.get(field, "") and name in taken:
            condition = Condition("NamesAccepted", "False", CONFLICTS[field], f'"{name}" is already in use')
        elif name:
            accepted[field] = name

    claim("plural", resources)
    claim("singular", resources)
    short = wanted.get("shortNames") or []
    taken = [name for name in short if name not in (had.get("shortNames") or ()) and name in resources]
    if taken:
        texts = [f'"{name}" is already in use' for name in taken]
        condition = Condition("NamesAccepted", "False", "ShortNamesConflict",
                              texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
    else:
        accepted["shortNames"] = short
    claim("kind", kinds)
    claim("listKind", kinds)
    accepted["categories"] = wanted.get("categories") or []
    return {field: value for field, value in accepted.items() if value}, condition


def trusts(definition: Object) -> bool:
    """Whether the certificates by which a conversion webhook is trusted can be read."""
    hook = (definition["spec"].get("conversion") or {}).get("webhook") or {}
    bundle = (hook.get("clientConfig") or {}).get("caBundle")
    if not bundle:
        return True
    from timonier.api.validation.definitions import certificates

    return certificates(bundle)


APPROVAL = {"Approved": ("True", "ApprovedAnnotation"), "Unapproved": ("False", "UnapprovedAnnotation"),
            "Missing": ("False", "MissingAnnotation"), "Invalid": ("False", "InvalidAnnotation")}


def approved(definition: Object, status: Object, now: Time) -> Object:
    """The status with what the community thinks of a definition in one of its groups."""
    group = definition["spec"]["group"]
    if not group.endswith((".k8s.io", ".kubernetes.io")):
        return status
    from timonier.api.validation.definitions import approval_of

    state, why = approval_of(definition)
    value, reason = APPROVAL[state]
    return with_condition(status, ("KubernetesAPIApprovalPolicyConformant", value, reason, why), now)


def structural(definition: Object, status: Object, now: Time, judge: Judge) -> Object:
    """The status with what keeps schemas from being structural, in definitions that were stored with such."""
    found = judge(definition["spec"])
    if found is None:
        return without_condition(status, "NonStructuralSchema")
    return with_condition(status, found, now)


def defects(spec: Object) -> Condition | None:
    """The condition that tells what keeps schemas from being structural; None where nothing does."""
    from timonier.api.structural.structure import unsupported, violations

    wrong: list[str] = []
    if spec.get("preserveUnknownFields"):
        wrong.append("spec.preserveUnknownFields: Invalid value: true: must be false")
    for index, version in enumerate(spec.get("versions") or ()):
        root = (version.get("schema") or {}).get("openAPIV3Schema")
        if root is None:
            continue
        if why := unsupported(root):
            message = f"failed to check validation schema for version {version['name']}: {why}"
            return Condition("NonStructuralSchema", "Unknown", "StructuralError", message)
        wrong += map(str, violations(root, f"spec.versions[{index}].schema.openAPIV3Schema"))
    if not wrong:
        return None
    message = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
    return Condition("NonStructuralSchema", "True", "Violations", message)
