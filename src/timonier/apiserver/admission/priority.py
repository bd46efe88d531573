"""Priority: a pod's priority class becomes a number and a preemption policy; only one class can be the default."""

from __future__ import annotations

from dataclasses import dataclass

from timonier.api.kinds import BY_ID
from timonier.apiserver.admission.contract import CREATE, UPDATE, Plugin, Registry, is_pod, refuse
from timonier.apiserver.request import Attributes, Object

CLASS = BY_ID["scheduling.k8s.io/v1/PriorityClass"]
PREEMPT = "PreemptLowerPriority"
COMPUTED = (("priority", "integer value of priority"), ("preemptionPolicy", "string value of PreemptionPolicy"))
"""Fields of a pod that follow from its class, and what they are called where somebody else says something else."""


@dataclass
class Priority(Plugin):
    registry: Registry
    _seen: int = -1
    _default: Object | None = None

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if obj is None or not is_pod(attributes, CREATE):
            return
        spec, computed = obj["spec"], self.priority_of(attributes, obj)
        for (field, what), value in zip(COMPUTED, computed, strict=True):
            given = spec.setdefault(field, value)
            if given is not None and given != value:
                raise refuse(attributes, f"the {what} ({given}) must not be provided in pod spec; priority admission "
                             f"controller computed {value} from the given PriorityClass name", obj)
            spec[field] = value

    def priority_of(self, attributes: Attributes, pod: Object) -> tuple[int, str]:
        """Value and preemption policy; fills in the class where it is the default one."""
        name = pod["spec"].get("priorityClassName")
        if name:
            found = self.registry.peek(CLASS, "", name)
            if found is None:
                raise refuse(attributes, f"no PriorityClass with name {name} was found", pod)
        else:
            found = self.default()
            if found is None:
                return 0, PREEMPT
            pod["spec"]["priorityClassName"] = found["metadata"]["name"]
        return found["value"], found.get("preemptionPolicy") or PREEMPT

    def default(self) -> Object | None:
        """The least of the classes that are marked as the default: there should be one, races can make more."""
        changes = self.registry.changes(CLASS)
        if changes != self._seen:
            marked = [found for found in self.registry.peek_all(CLASS) if found.get("globalDefault")]
            self._default, self._seen = min(marked, key=lambda found: int(found["value"]), default=None), changes
        return self._default

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        is_class = (attributes.group, attributes.resource) == (CLASS.group, CLASS.plural)
        if obj is None or not is_class or attributes.operation not in (CREATE, UPDATE) or not obj.get("globalDefault"):
            return
        for other in self.registry.peek_all(CLASS):
            if other.get("globalDefault") and other["metadata"]["name"] != obj["metadata"].get("name"):
                raise refuse(attributes, f"PriorityClass {other['metadata']['name']} is already marked as default. "
                             "Only one default can exist", obj)
