"""Warnings about pods and what makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from timonier.api import names
from timonier.api.warnings.labels import DEPRECATED, fractions, in_selector, in_term, in_terms

Obj = dict[str, Any]

SORTS = ("initContainers", "containers", "ephemeralContainers")
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
NO_SELECTOR = "a null labelSelector results in matching no pod"
CRITICAL = "scheduler.alpha.kubernetes.io/critical-pod"
SECCOMP = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
GONE_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
SHOWN = {"storageos": "storageOS"}
FILES = {"configMap": ("ConfigMap", "name"), "secret": ("Secret", "secretName"), "downwardAPI": ("DownwardAPI", "")}


def pod(obj: Obj) -> Iterator[str]:
    name = obj.get("metadata", {}).get("name", "")
    if wrong := names.plain_label(name):
        yield ("metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
               f"a DNS label is recommended: [{' '.join(wrong)}]")
    yield from spec_and_metadata(obj.get("spec", {}), obj.get("metadata", {}), "", template=False)


def workload(obj: Obj) -> Iterator[str]:
    """Something that names pods after itself, and has its template in its spec."""
    yield from used_in_names(obj)
    yield from template(obj.get("spec", {}).get("template", {}), "spec.template.")


def used_in_names(obj: Obj) -> Iterator[str]:
    if wrong := names.plain_label(obj.get("metadata", {}).get("name", "")):
        yield ("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; "
               f"a DNS label is recommended: [{' '.join(wrong)}]")


def template_at(field: str) -> Callable[[Obj], Iterator[str]]:
    return lambda obj: template(obj.get(field, {}), f"{field}.")


def template(given: Obj, path: str) -> Iterator[str]:
    return spec_and_metadata(given.get("spec", {}), given.get("metadata", {}), path, template=True)


def spec_and_metadata(spec: Obj, meta: Obj, path: str, *, template: bool) -> Iterator[str]:
    """`path` leads to the pod or template, and ends with a dot where there is one."""
    if "nodeSelector" in spec:
        yield from in_selector(spec["nodeSelector"], f"{path}spec.nodeSelector")
    affinity = spec.get("affinity", {})
    if affinity:
        yield from node_affinity(affinity.get("nodeAffinity", {}), f"{path}spec.affinity.nodeAffinity")
    for index, constraint in enumerate(spec.get("topologySpreadConstraints", ())):
        at, key = f"{path}spec.topologySpreadConstraints[{index}]", constraint.get("topologyKey", "")
        if key in DEPRECATED:
            yield f"{at}.topologyKey: {key} is {DEPRECATED[key]}"
        if "labelSelector" not in constraint:
            yield f"{at}.labelSelector: {NO_SELECTOR}"
    annotations = meta.get("annotations", {})
    if CRITICAL in annotations:
        yield (f"{path}metadata.annotations[{CRITICAL}]: non-functional in v1.16+; "
               'use the "priorityClassName" field instead')
    if "volumes" in spec:
        yield from volumes(spec["volumes"], f"{path}spec.volumes")
    yield from twice(spec, path)
    if "overhead" in spec:
        yield from fractions(spec["overhead"], f"{path}spec.overhead")
    if annotations:
        yield from old_profiles(annotations, spec, path, template=template)
    yield from containers(spec, f"{path}spec")
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        yield (f"{path}spec.terminationGracePeriodSeconds: must be >= 0; "
               "negative values are invalid and will be treated as 1")
    for kind in ("podAffinity", "podAntiAffinity") if affinity else ():
        yield from pod_affinity(affinity.get(kind, {}), f"{path}spec.affinity.{kind}")


def node_affinity(given: Obj, path: str) -> Iterator[str]:
    yield from in_terms(given.get(REQUIRED, {}).get("nodeSelectorTerms", []), f"{path}.{REQUIRED}.nodeSelectorTerms")
    for index, choice in enumerate(given.get(PREFERRED, ())):
        yield from in_term(choice.get("preference", {}), f"{path}.{PREFERRED}[{index}].preference")


def pod_affinity(given: Obj, path: str) -> Iterator[str]:
    for index, term in enumerate(given.get(REQUIRED, ())):
        if "labelSelector" not in term:
            yield f"{path}.{REQUIRED}[{index}].labelSelector: {NO_SELECTOR}"
    for index, choice in enumerate(given.get(PREFERRED, ())):
        if "labelSelector" not in choice.get("podAffinityTerm", {}):
            yield f"{path}.{PREFERRED}[{index}].podAffinityTerm.labelSelector: {NO_SELECTOR}"


def volumes(listed: Iterable[Obj], path: str) -> Iterator[str]:
    listed = list(listed)
    for index, volume in enumerate(listed):
        for kind in volume:
            if kind in VOLUMES:
                yield f"{path}[{index}].{SHOWN.get(kind, kind)}: {VOLUMES[kind]}"
        claim = volume.get("ephemeral", {}).get("volumeClaimTemplate", {}).get("spec")
        if claim:
            yield from fractions(claim.get("resources", {}).get("requests", {}),
                                 f"{path}[{index}].ephemeral.volumeClaimTemplate.spec.resources.requests", ("storage",))
    for volume in listed:
        for kind, (shown, field) in FILES.items():
            items = volume.get(kind, {}).get("items")
            if items:
                named = f' "{volume[kind].get(field, "")}"' if field else ""
                yield from overlapping([item.get("path", "") for item in items],
                                       f'volume "{volume.get("name", "")}" ({shown}{named})')


def overlapping(paths: list[str], what: str) -> Iterator[str]:
    """A file in the place of another, or of the folder of another."""
    seen: list[str] = []
    for path in paths:
        normal = path.rstrip("/")
        same = [other for other in seen
                if other == normal or other.startswith(f"{normal}/") or normal.startswith(f"{other}/")]
        if same:
            yield f'{what}: overlapping paths: "{path}" with "{same[0]}"'
        seen.append(normal)


def twice(spec: Obj, path: str) -> Iterator[str]:
    for field, key, what in (("hostAliases", "ip", "ip"), ("imagePullSecrets", "name", "name")):
        taken: set[str] = set()
        for index, item in enumerate(spec.get(field, ())):
            value = item.get(key, "")
            if value in taken:
                yield f'{path}spec.{field}[{index}].{key}: duplicate {what} "{value}"'
            taken.add(value)
    for index, item in enumerate(spec.get("imagePullSecrets", ())):
        if not item.get("name"):
            yield f'{path}spec.imagePullSecrets[{index}].name: invalid empty name ""'


def old_profiles(annotations: Obj, spec: Obj, path: str, *, template: bool) -> Iterator[str]:
    """Annotations for which there are fields now, where the fields are not there."""
    security = spec.get("securityContext", {})
    if SECCOMP in annotations and "seccompProfile" not in security:
        yield f"{path}metadata.annotations[{SECCOMP}]: {GONE_SECCOMP}"
    for sort in SORTS:
        for container in spec.get(sort, ()):
            own, name = container.get("securityContext", {}), container.get("name", "")
            if SECCOMP_CONTAINER + name in annotations and "seccompProfile" not in own:
                yield f"{path}metadata.annotations[{SECCOMP_CONTAINER}{name}]: {GONE_SECCOMP}"
            if APP_ARMOR + name in annotations and "appArmorProfile" not in own | security:
                yield (f"{path}metadata.annotations[{APP_ARMOR}{name}]: deprecated since v1.30; "
                       'use the "appArmorProfile" field instead')


def containers(spec: Obj, path: str) -> Iterator[str]:
    ports: dict[tuple[Any, Any], list[tuple[str, Obj]]] = {}
    for sort in SORTS:
        for index, container in enumerate(spec.get(sort, ())):
            at, resources = f"{path}.{sort}[{index}]", container.get("resources")
            if resources:
                for side in ("limits", "requests"):
                    if side in resources:
                        yield from fractions(resources[side], f"{at}.resources.{side}")
            if len(container.get("env", ())) > 1:
                yield from hidden(container["env"], f"{at}.env")
    for sort in SORTS:
        for index, container in enumerate(spec.get(sort, ())):
            for place, port in enumerate(container.get("ports", ())):
                yield from same_port(port, f"{path}.{sort}[{index}].ports[{place}]", ports)


def hidden(variables: list[Obj], path: str) -> Iterator[str]:
    """A variable that is defined again, and not by what it was before."""
    taken: set[str] = set()
    for index, variable in enumerate(variables):
        name = variable.get("name", "")
        if name in taken:
            before, value = f"$({name})", variable.get("value", "")
            if "valueFrom" in variable or value == before or before not in value:
                yield f'{path}[{index}]: hides previous definition of "{name}", which may be dropped when using apply'
        taken.add(name)


def same_port(port: Obj, path: str, ports: dict[tuple[Any, Any], list[tuple[str, Obj]]]) -> Iterator[str]:
    others = ports.setdefault((port.get("containerPort"), port.get("protocol")), [])
    address, number = port.get("hostIP", ""), port.get("hostPort", 0)
    if address and not number:
        yield f"{path}: hostIP set without hostPort: {port}"
    for place, other in others:
        there, on = other.get("hostIP", ""), other.get("hostPort", 0)
        if (address, number) == (there, on):
            yield f"{path}: duplicate port definition with {place}"
        elif not number or not on:
            yield f"{path}: overlapping port definition with {place}"
        elif number == on and (not address) is not (not there):
            yield f"{path}: dangerously ambiguous port definition with {place}"
    others.append((path, port))
