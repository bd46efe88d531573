"""What pods tolerate and nodes refuse by default: DefaultTolerationSeconds and TaintNodesByCondition."""

from __future__ import annotations

from timonier.apiserver.admission.contract import CREATE, Plugin, is_pod
from timonier.apiserver.request import Attributes, Object

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
SECONDS = 300
"""How long a pod stays on a node that stopped answering."""


class DefaultTolerationSeconds(Plugin):
    """A pod that says nothing about dead nodes is moved from one after five minutes."""

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if obj is None or not is_pod(attributes, CREATE):
            return
        tolerations = obj["spec"].setdefault("tolerations", [])
        missing = [key for key in (NOT_READY, UNREACHABLE)
                   if not any(speaks_of(toleration, key) for toleration in tolerations)]
        tolerations += [{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}
                        for key in missing]
        if not tolerations:
            del obj["spec"]["tolerations"]


def speaks_of(toleration: Object, key: str) -> bool:
    return toleration.get("key", "") in (key, "") and toleration.get("effect", "") in ("NoExecute", "")


class TaintNodesByCondition(Plugin):
    """A new node takes no pods until the node controller has seen it ready."""

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        is_node = not attributes.group and attributes.resource == "nodes" and not attributes.subresource
        if obj is None or not is_node or attributes.operation != CREATE:
            return
        taints = obj.setdefault("spec", {}).setdefault("taints", [])
        if not any(taint.get("key") == NOT_READY and taint.get("effect") == "NoSchedule" for taint in taints):
            taints.append({"key": NOT_READY, "effect": "NoSchedule"})
