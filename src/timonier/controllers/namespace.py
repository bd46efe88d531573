"""Namespaces that are being deleted: first their pods go, then all else, then the namespace itself.

What a namespace holds is asked of the API server for each look, kind by kind: no mirror could vouch that nothing is
left. Source: kubernetes/pkg/controller/namespace/deletion; KEP-5080 for the order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from timonier.api import times
from timonier.api.errors import ApiError, NotFound
from timonier.api.kinds import Kind
from timonier.api.types import core_v1
from timonier.client.client import BACKGROUND, Client
from timonier.client.wire import Partial
from timonier.controllers.shared.discovered import Discovered
from timonier.kit.clock import Time
from timonier.kit.http import HttpError
from timonier.reconcile.plan import Delete, Plan
from timonier.reconcile.snapshot import Snapshot, Watch, clone, itself

FINALIZER = "kubernetes"
AT_ONCE, SOON = 0.1, 1.0
"""Seconds after which a namespace that is not empty yet is looked at again: where nothing holds its content up, and
where pods or finalizers do."""
NEW_KIND = 1.0
"""Seconds for which a namespace may be emptied without asking for kinds that were defined since."""
CONTENT = frozenset({"list", "delete"})

Contents = Mapping[Kind, Sequence[Partial]]
Found = tuple[Contents, str]
"""What a namespace holds, and why it may not be all, if so."""


class NamespaceController:
    """`contents` lists what a namespace holds."""

    name = "namespace-controller"

    def __init__(self, contents: Callable[[str], Awaitable[Found]]) -> None:
        self._contents = contents

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(core_v1.Namespace, itself)]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan | Awaitable[Plan]:
        namespace = snapshot.get(core_v1.Namespace, key)
        if namespace is None or not namespace.metadata.deletionTimestamp or not namespace.spec.finalizers:
            return Plan()
        if namespace.status.phase != "Terminating":
            changed = clone(namespace)
            changed.status.phase = "Terminating"
            return Plan(status=changed, again=0.0)
        return self._empty(namespace, now)

    async def _empty(self, namespace: core_v1.Namespace, now: Time) -> Plan:
        contents, failure = await self._contents(namespace.metadata.name)
        return emptying(namespace, contents, failure, now)


def emptying(namespace: core_v1.Namespace, contents: Contents, failure: str, now: Time) -> Plan:
    """Delete what is there; when nothing is, and it is sure, let the namespace go."""
    contents = {kind: objects for kind, objects in contents.items() if objects}
    if not contents and not failure:
        finalized = clone(namespace)
        finalized.spec.finalizers = [each for each in namespace.spec.finalizers if each != FINALIZER]
        return Plan(finalize=finalized) if FINALIZER in namespace.spec.finalizers else Plan()
    pods = {kind: objects for kind, objects in contents.items() if (kind.group, kind.plural) == ("", "pods")}
    delete = [Delete(Partial, each.metadata.name, each.metadata.namespace, each.metadata.uid, kind=kind,
                     propagation=BACKGROUND)
              for kind, objects in (pods or contents).items() for each in objects
              if not each.metadata.deletionTimestamp]
    changed = clone(namespace)
    changed.status.conditions = conditions(namespace, contents, failure, now)
    held = bool(pods) or any(each.metadata.finalizers for objects in contents.values() for each in objects)
    return Plan(delete=delete, again=SOON if held or failure else AT_ONCE,
                status=changed if changed != namespace else None)


def conditions(namespace: core_v1.Namespace, contents: Contents, failure: str,
               now: Time) -> list[core_v1.NamespaceCondition]:
    """Why the namespace is still there, in the words that Kubernetes has for it."""
    remaining = sorted(f"{kind.plural}.{kind.group} has {len(objects)} resource instances"
                       for kind, objects in contents.items())
    holding = Counter(each for objects in contents.values() for obj in objects for each in set(obj.metadata.finalizers))
    finalizers = [f"{name} in {count} resource instances" for name, count in sorted(holding.items())]
    told = [
        ("NamespaceDeletionDiscoveryFailure", bool(failure), "DiscoveryFailed", failure,
         "ResourcesDiscovered", "All resources successfully discovered"),
        ("NamespaceDeletionGroupVersionParsingFailure", False, "", "",
         "ParsedGroupVersions", "All legacy kube types successfully parsed"),
        ("NamespaceDeletionContentFailure", False, "", "",
         "ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
        ("NamespaceContentRemaining", bool(remaining), "SomeResourcesRemain",
         "Some resources are remaining: " + ", ".join(remaining),
         "ContentRemoved", "All content successfully removed"),
        ("NamespaceFinalizersRemaining", bool(finalizers), "SomeFinalizersRemain",
         "Some content in the namespace has finalizers remaining: " + ", ".join(finalizers),
         "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
    ]
    before = {each.type: each for each in namespace.status.conditions}
    return [condition(before.get(type_), type_, is_so, *((why, text) if is_so else (why_not, text_not)), now)
            for type_, is_so, why, text, why_not, text_not in told]


def condition(before: core_v1.NamespaceCondition | None, type_: str, is_so: bool, reason: str, message: str,
              now: Time) -> core_v1.NamespaceCondition:
    status = "True" if is_so else "False"
    since = before.lastTransitionTime if before and before.status == status else times.rfc3339(now)
    return core_v1.NamespaceCondition(type=type_, status=status, reason=reason, message=message,
                                      lastTransitionTime=since)


def contents_by(client: Client, discovered: Discovered) -> Callable[[str], Awaitable[Found]]:
    """Lists a namespace through the API: every namespaced kind that can be listed and deleted."""
    async def contents(namespace: str) -> Found:
        found: dict[Kind, Sequence[Partial]] = {}
        failures = []
        for kind in await discovered.kinds(NEW_KIND):
            if kind.namespaced and set(kind.verbs) >= CONTENT:
                try:
                    found[kind] = (await client.list(Partial, namespace, kind=kind)).items
                except NotFound:
                    continue  # the kind itself is gone since
                except (ApiError, HttpError) as error:
                    failures.append(f"{kind.resource}: {error}")
        return found, "; ".join(failures)
    return contents
