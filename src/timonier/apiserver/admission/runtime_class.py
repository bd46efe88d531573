"""RuntimeClass: a pod's runtime class must exist; its overhead and its scheduling become the pod's."""

from __future__ import annotations

from dataclasses import dataclass

from timonier.api.kinds import BY_ID
from timonier.apiserver.admission.contract import CREATE, Plugin, Registry, is_pod, refuse
from timonier.apiserver.request import Attributes, Object

CLASS = BY_ID["node.k8s.io/v1/RuntimeClass"]


@dataclass(frozen=True)
class RuntimeClass(Plugin):
    registry: Registry

    def find(self, attributes: Attributes, pod: Object) -> Object | None:
        """The pod's class; None where it names none. Raises Forbidden where it does not exist."""
        name = pod["spec"].get("runtimeClassName")
        if not name:
            return None
        found = self.registry.peek(CLASS, "", name)
        if found is None:
            raise refuse(attributes, f'pod rejected: RuntimeClass "{name}" not found', pod)
        return found

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if obj is None or not is_pod(attributes, CREATE):
            return
        found = self.find(attributes, obj)
        if found is None:
            return
        spec = obj["spec"]
        overhead = (found.get("overhead") or {}).get("podFixed")
        if overhead:
            if spec.get("overhead") and spec["overhead"] != overhead:
                raise refuse(attributes, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
                             obj)
            spec["overhead"] = dict(overhead)
        self.schedule(attributes, obj, found.get("scheduling") or {})

    def schedule(self, attributes: Attributes, pod: Object, scheduling: Object) -> None:
        spec = pod["spec"]
        for key, value in (scheduling.get("nodeSelector") or {}).items():
            if spec.setdefault("nodeSelector", {}).setdefault(key, value) != value:
                raise refuse(attributes, f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                             f"pod.spec.nodeSelector[{key}] = {spec['nodeSelector'][key]}", pod)
        tolerations = spec.get("tolerations") or []
        added = [dict(wanted) for wanted in scheduling.get("tolerations") or () if wanted not in tolerations]
        if added:
            spec["tolerations"] = tolerations + added

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if obj is None or not is_pod(attributes, CREATE):
            return
        found = self.find(attributes, obj)
        if obj["spec"].get("overhead") and not ((found or {}).get("overhead") or {}).get("podFixed"):
            raise refuse(attributes,
                         "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead", obj)
