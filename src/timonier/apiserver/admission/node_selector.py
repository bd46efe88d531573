"""PodNodeSelector and PodTolerationRestriction: a namespace says, by annotations, where its pods may run.

For namespaces that do not say it, the administrator can. Source: Kubernetes documentation, "Admission Control in
Kubernetes"; podtolerationrestriction.admission.k8s.io/v1alpha1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from timonier.api.errors import NotFound
from timonier.api.kinds import BY_ID
from timonier.api.quality import BEST_EFFORT, qos_class
from timonier.apiserver.admission.configuration import Document
from timonier.apiserver.admission.contract import CREATE, UPDATE, Plugin, Registry, refuse
from timonier.apiserver.request import Attributes, Object

NAMESPACE = BY_ID["v1/Namespace"]
SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"
DEFAULTS, ALLOWED = ("scheduler.alpha.kubernetes.io/defaultTolerations",
                     "scheduler.alpha.kubernetes.io/tolerationsWhitelist")
CONFIGURED, CLUSTER_DEFAULT = "podNodeSelectorPluginConfig", "clusterDefaultNodeSelector"
GROUP = "podtolerationrestriction.admission.k8s.io"
PRESSURE = {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"}


def is_pod(group: str, resource: str, subresource: str, operation: str, *operations: str) -> bool:
    return (group, resource, subresource) == ("", "pods", "") and operation in operations


async def annotations_of(registry: Registry, namespace: str) -> dict[str, str]:
    """Raises NotFound for a namespace that does not exist."""
    found = registry.peek(NAMESPACE, "", namespace)
    if found is None:
        found = await registry.get(NAMESPACE, "", namespace)
    annotations: dict[str, str] = found["metadata"].get("annotations") or {}
    return annotations


@dataclass(frozen=True, slots=True)
class Selectors:
    """What the administrator says: the selector of namespaces that have none, and by namespace what pods may select."""

    default: Mapping[str, str] = field(default_factory=dict)
    allowed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class PodNodeSelector(Plugin):
    registry: Registry
    selectors: Selectors = field(default_factory=Selectors)

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return is_pod(group, resource, subresource, operation, CREATE)

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        try:
            annotations = await annotations_of(self.registry, attributes.namespace)
            wanted = selector_of(annotations[SELECTOR]) if SELECTOR in annotations else self.selectors.default
        except (NotFound, ValueError) as error:
            raise refuse(attributes, str(error), obj) from error
        own = obj["spec"].get("nodeSelector") or {}
        if any(own.get(key, value) != value for key, value in wanted.items()):
            raise refuse(attributes, "pod node label selector conflicts with its namespace node label selector", obj)
        if wanted:
            obj["spec"]["nodeSelector"] = own | dict(wanted)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        allowed = self.selectors.allowed.get(attributes.namespace)
        if allowed and not (obj["spec"].get("nodeSelector") or {}).items() <= allowed.items():
            raise refuse(attributes, "pod node label selector labels conflict with its namespace whitelist", obj)


def selector_of(text: str) -> dict[str, str]:
    """From `a=b,c=d`. Raises ValueError."""
    found = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        key, sign, value = pair.partition("=")
        if not sign:
            raise ValueError(f"invalid selector: [{pair}]")
        found[key.strip()] = value.lstrip("=").strip()
    return found


def selectors(document: Document) -> Selectors:
    """Of `podNodeSelectorPluginConfig`. Raises CannotRun."""
    document.known(document.content, (CONFIGURED,))
    given = document.content.get(CONFIGURED) or {}
    if not isinstance(given, dict):
        raise document.wrong(f"{CONFIGURED} must be a map of selectors")
    try:
        found = {name: selector_of(str(text or "")) for name, text in given.items()}
    except ValueError as error:
        raise document.wrong(f"{CONFIGURED}: {error}") from error
    return Selectors(found.pop(CLUSTER_DEFAULT, {}), found)


@dataclass(frozen=True)
class PodTolerationRestriction(Plugin):
    registry: Registry
    configured: Mapping[str, Sequence[Object]] = field(default_factory=dict)
    """By annotation: the tolerations of namespaces that do not have it."""

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return is_pod(group, resource, subresource, operation, CREATE, UPDATE)

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        spec = obj["spec"]
        if attributes.operation == CREATE:
            for wanted in await self.listed(attributes, DEFAULTS) or ():
                if any(conflict(wanted, own) for own in spec.get("tolerations") or ()):
                    raise refuse(attributes, "namespace tolerations and pod tolerations conflict", obj)
                add(spec, wanted)
        if qos_class(spec) != BEST_EFFORT:
            add(spec, PRESSURE)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        allowed = await self.listed(attributes, ALLOWED)
        tolerations = [each for each in obj["spec"].get("tolerations") or () if each != PRESSURE]
        if allowed and not all(any(covers(wide, own) for wide in allowed) for own in tolerations):
            raise refuse(attributes, "pod tolerations (possibly merged with namespace default tolerations) conflict "
                         "with its namespace whitelist", obj)

    async def listed(self, attributes: Attributes, annotation: str) -> Sequence[Object] | None:
        """The tolerations in an annotation of the namespace, or those that are configured. Raises Forbidden."""
        text = (await annotations_of(self.registry, attributes.namespace)).get(annotation)
        if text is None:
            return self.configured.get(annotation)
        try:
            found: Any = orjson.loads(text or "[]")
        except orjson.JSONDecodeError as error:
            raise refuse(attributes, f"cannot read annotation {annotation}: {error}") from error
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise refuse(attributes, f"annotation {annotation} must hold a list of tolerations")
        return found


def tolerations(document: Document) -> dict[str, Sequence[Object]]:
    """Of a Configuration. Raises CannotRun."""
    if not document.content:
        return {}
    document.known(document.checked("Configuration", (GROUP,)), ("apiVersion", "kind", "default", "whitelist"))
    return {annotation: [dict(each) for each in document.objects(name)]
            for annotation, name in ((DEFAULTS, "default"), (ALLOWED, "whitelist"))}


def add(spec: Object, toleration: Object) -> None:
    tolerations = spec.get("tolerations") or []
    if not any(covers(own, toleration) for own in tolerations):
        spec["tolerations"] = [*tolerations, dict(toleration)]


def conflict(wanted: Object, own: Object) -> bool:
    """Whether two tolerations speak of the same taints and differ."""
    return all(wanted.get(field) == own.get(field) for field in ("key", "effect")) and not covers(own, wanted)


def covers(wide: Object, narrow: Object) -> bool:
    """Whether everything that one toleration tolerates is tolerated by another."""
    if wide.get("key") and wide["key"] != narrow.get("key"):
        return False
    if wide.get("effect") and wide["effect"] != narrow.get("effect"):
        return False
    if wide.get("effect") == "NoExecute":
        seconds, other = wide.get("tolerationSeconds"), narrow.get("tolerationSeconds")
        if seconds is not None and (other is None or other > seconds):
            return False
    if wide.get("operator", "Equal") == "Exists":
        return True
    return bool(narrow.get("operator", "Equal") == "Equal" and wide.get("value", "") == narrow.get("value", ""))
