"""Priority: a pod's priority class becomes a number and a preemption policy; only one class can be the default."""

from __future__ import annotations

from dataclasses import dataclass

from timonier.api.kinds import BY_ID
from timonier.apiserver.admission.contract import CREATE, UPDATE, Plugin, Registry, is_pod, refuse
from timonier.apiserver.request import Attributes, Object

CLASS = BY_ID["scheduling.k8s.io/v1/PriorityClass"]
PREEMPT = "PreemptLowerPriority"


@dataclass(frozen=True)
class Priority(Plugin):
    registry: Registry

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if obj is None or not is_pod(attributes, CREATE):
            return
        spec = obj["spec"]
        value, policy = self.priority_of(attributes, obj)
        for what, given, computed in (("integer value of priority", spec.get("priority"), value),
                                      ("string value of PreemptionPolicy", spec.get("preemptionPolicy"), policy)):
            if given is not None and given != computed:
                raise refuse(attributes, f"the {what} ({given}) must not be provided in pod spec; priority admission "
                             f"controller computed {computed} from the given PriorityClass name", obj)
        spec["priority"], spec["preemptionPolicy"] = value, policy

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
        marked = [found for found in self.registry.peek_all(CLASS) if found.get("globalDefault")]
        return min(marked, key=lambda found: int(found["value"]), default=None)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        is_class = (attributes.group, attributes.resource) == (CLASS.group, CLASS.plural)
        if obj is None or not is_class or attributes.operation not in (CREATE, UPDATE) or not obj.get("globalDefault"):
            return
        for other in self.registry.peek_all(CLASS):
            if other.get("globalDefault") and other["metadata"]["name"] != obj["metadata"].get("name"):
                raise refuse(attributes, f"PriorityClass {other['metadata']['name']} is already marked as default. "
                             "Only one default can exist", obj)
