"""What a CustomResourceDefinition adds to the table of kinds: a row for each of its versions. Pure."""

from __future__ import annotations

from typing import Any

from timonier.api.kinds import SCALE, STANDARD_VERBS, STATUS, Kind, Subresource
from timonier.api.structural.shape import Custom
from timonier.api.versions import newest_first, older
from timonier.apiserver.custom.conditions import is_true

Object = dict[str, Any]


def served(definition: Object) -> bool:
    """Whether the kinds of a definition are served: since all of its names are its own, or once were."""
    return is_true(definition, "NamesAccepted") or is_true(definition, "Established")


def shapes_of(definition: Object) -> dict[str, Custom]:
    """The shapes of a definition's kinds, by version."""
    spec, names = definition["spec"], definition["status"]["acceptedNames"]
    scales = {f"{spec['group']}/{version['name']}": ((version.get("subresources") or {}).get("scale") or {}).get(
        "specReplicasPath", "") for version in spec["versions"]}
    return {version["name"]: Custom(names["kind"], version, namespaced=spec["scope"] == "Namespaced",
                                    preserves=bool(spec.get("preserveUnknownFields")), scales=scales)
            for version in spec["versions"]}


def rows_of(definition: Object, shapes: dict[str, Custom]) -> list[Kind]:
    """The kinds of a definition, those for storage alone with them, under the names that were accepted."""
    spec, names = definition["spec"], definition["status"]["acceptedNames"]
    group, versions = spec["group"], spec["versions"]
    storage = next(version["name"] for version in versions if version.get("storage"))
    closing = is_true(definition, "Terminating")

    def row(version: Object) -> Kind:
        name = version["name"]
        return Kind(
            group, name, names["kind"], names["plural"], namespaced=spec["scope"] == "Namespaced",
            short=tuple(names.get("shortNames") or ()), categories=tuple(names.get("categories") or ()),
            verbs=STANDARD_VERBS, subresources=subresources(version), definition=model(group, name, names["kind"]),
            storage=f"{group}/{storage}", deprecated=deprecation(spec, version), served=bool(version.get("served")),
            singular_name=names.get("singular", ""), lists=names.get("listKind", ""), closing=closing,
            custom=shapes[name])
    return [row(version) for version in versions]


def model(group: str, version: str, kind: str) -> str:
    """The name of a kind's definition in OpenAPI: `com.example.v1.Foo`."""
    return ".".join([*reversed(group.split(".")), version, kind])


def subresources(version: Object) -> tuple[Subresource, ...]:
    given = version.get("subresources") or {}
    return (*((SCALE,) if "scale" in given else ()), *((STATUS,) if "status" in given else ()))


def deprecation(spec: Object, version: Object) -> str:
    """What users of a version are warned with; empty where it is not deprecated."""
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning"):
        return str(version["deprecationWarning"])
    group, kind = spec["group"], spec["names"]["kind"]
    better = newest_first(each["name"] for each in spec["versions"]
                          if each.get("served") and not each.get("deprecated") and older(version["name"], each["name"]))
    text = f"{group}/{version['name']} {kind} is deprecated"
    return f"{text}; use {group}/{better[0]} {kind}" if better else text
