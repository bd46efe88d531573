"""Resizes of pods that are on a node: it has to be one that is large enough, runs Linux, and can do what is asked.

Source: KEP-1287, KEP-5328 (features that nodes declare).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from timonier.api.errors import Cause, Forbidden
from timonier.api.kinds import BY_ID
from timonier.api.quantity import milli, whole
from timonier.api.quota.pods import total
from timonier.apiserver.admission.contract import UPDATE, Plugin, Registry, refuse
from timonier.apiserver.request import Attributes, Object

NODE = BY_ID["v1/Node"]
OS = "kubernetes.io/os"
READ = {"cpu": milli, "memory": whole}
WHOLE_POD, INIT_CONTAINERS = "InPlacePodLevelResourcesVerticalScaling", "InPlacePodVerticalScalingInitContainers"


@dataclass(frozen=True)
class OnNode(Plugin):
    """A plugin that judges changes to the specs of pods that are on a node."""

    registry: Registry

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource, operation) == ("", "pods", UPDATE) and subresource == "resize"

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        assert old is not None
        name = obj["spec"].get("nodeName")
        if name and obj["spec"] != old["spec"]:
            self.judge(attributes, obj, old)

    def node(self, attributes: Attributes, obj: Object) -> Object:
        """The pod's node. Raises Forbidden where it is not there."""
        name = obj["spec"]["nodeName"]
        node = self.registry.peek(NODE, "", name)
        if node is None:
            raise refuse(attributes, f'node "{name}" not found', obj)
        return node

    def judge(self, attributes: Attributes, obj: Object, old: Object) -> None:
        """Raises Forbidden."""
        raise NotImplementedError


class PodResizeValidator(OnNode):
    def judge(self, attributes: Attributes, obj: Object, old: Object) -> None:
        node = self.node(attributes, obj)
        allocatable = (node.get("status") or {}).get("allocatable") or {}
        if lacking := list(beyond(total(obj["spec"], "requests"), allocatable)):
            raise caused(refuse(attributes, "Node didn't have enough allocatable resources: " + "; ".join(lacking),
                                obj), "NodeCapacity")
        system = (node["metadata"].get("labels") or {}).get(OS, "")
        if system != "linux":
            raise caused(refuse(attributes, "pod resize is only supported on linux nodes, node "
                                            f'"{node["metadata"]["name"]}" is "{system}"', obj), "UnsupportedPlatform")


class NodeDeclaredFeatureValidator(OnNode):
    """Resizing the pod as a whole, or what initialises it, is for nodes that say that they can."""

    def judge(self, attributes: Attributes, obj: Object, old: Object) -> None:
        if wanted := list(features(obj["spec"], old["spec"])):
            node = self.node(attributes, obj)
            declared = (node.get("status") or {}).get("declaredFeatures") or ()
            if missing := [feature for feature in wanted if feature not in declared]:
                raise refuse(attributes, f"pod update requires features {', '.join(missing)} which are not available "
                                         f'on node "{node["metadata"]["name"]}"', obj)


def beyond(requests: dict[str, str], allocatable: dict[str, str]) -> Iterator[str]:
    """What is requested beyond what a node has for pods, in millis of CPUs and in bytes."""
    for name, read in READ.items():
        asked, there = read(requests.get(name, "0")), read(allocatable.get(name, "0"))
        if asked > there:
            yield f"{name}, requested: {asked}, allocatable: {there}"


def features(spec: Object, before: Object) -> Iterator[str]:
    """What a node has to be able to do for a change of a pod."""
    if (spec.get("resources") or {}) != (before.get("resources") or {}):
        yield WHOLE_POD
    pairs = zip(spec.get("initContainers") or (), before.get("initContainers") or (), strict=True)
    if any(container.get("restartPolicy") != "Always" and container.get("resources") != there.get("resources")
           for container, there in pairs):
        yield INIT_CONTAINERS


def caused(error: Forbidden, reason: str) -> Forbidden:
    """The error with its cause in a word, for clients that act upon it."""
    error.causes = (Cause(reason, "", ""),)
    return error
