"""Custom resources and the definitions that make them: what is particular about writing either."""

from __future__ import annotations

from collections.abc import Iterable

from timonier.api.errors import forbidden
from timonier.api.kinds import Kind
from timonier.api.validation.metadata import STANDARD_FINALIZERS
from timonier.apiserver.custom.conditions import CLEANUP, with_condition
from timonier.apiserver.request import User
from timonier.apiserver.strategies.base import Object, StatusAlone, Strategy
from timonier.kit.clock import Time

DELETION_PENDING = ("Terminating", "True", "InstanceDeletionPending",
                    "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon")


class CustomStrategy(StatusAlone):
    """Objects of custom kinds."""

    unconditional_update = False

    def unconditional(self, subresource: str) -> bool:
        return subresource not in ("", "status")

    def prepare_create(self, kind: Kind, obj: Object, user: User) -> None:
        """Raises Forbidden where the kind is about to go."""
        if kind.closing:
            raise forbidden(kind.group, kind.plural, obj["metadata"].get("name", ""),
                            "create not allowed while custom resource definition is terminating")
        super().prepare_create(kind, obj, user)


    def warnings(self, kind: Kind, obj: Object, old: Object | None) -> Iterable[str]:
        """Finalizers that others could call by the same name."""
        before = old["metadata"].get("finalizers") or () if old else ()
        for name in sorted(set(obj["metadata"].get("finalizers") or ()) - set(before)):
            if "/" not in name and name not in STANDARD_FINALIZERS:
                path = "including a path (/) to avoid" if "." in name else "to avoid"
                yield f'metadata.finalizers: "{name}": prefer a domain-qualified finalizer name {path} accidental ' \
                      "conflicts with other finalizer writers"


class DefinitionStrategy(Strategy):
    """CustomResourceDefinitions: their status tells what is served, and remembers in which versions objects lie."""

    unconditional_update = False

    def prepare_create(self, kind: Kind, obj: Object, user: User) -> None:
        obj["status"] = {}
        remember_storage(obj)

    def prepare_update(self, kind: Kind, obj: Object, old: Object) -> None:
        super().prepare_update(kind, obj, old)
        remember_storage(obj)

    def warnings(self, kind: Kind, obj: Object, old: Object | None) -> Iterable[str]:
        """Formats that say nothing, and did not say it before."""
        known = set(unknown_formats(old)) if old else set()
        return [f'unrecognized format "{name}"' for name in unknown_formats(obj) if name not in known]

    def prepare_delete(self, kind: Kind, obj: Object, now: Time) -> None:
        """A definition goes after its objects."""
        metadata = obj["metadata"]
        if "deletionTimestamp" not in metadata:
            if CLEANUP not in (finalizers := metadata.get("finalizers") or []):
                metadata["finalizers"] = [*finalizers, CLEANUP]
            obj["status"] = with_condition(obj.get("status") or {}, DELETION_PENDING, now)


def unknown_formats(definition: Object) -> list[str]:
    """The formats in a definition's schemas that nobody checks."""
    from timonier.api.structural.formats import known
    from timonier.api.structural.nodes import every

    schemas = [(version.get("schema") or {}).get("openAPIV3Schema") for version in definition["spec"]["versions"]]
    found = [node["format"] for schema in schemas if schema for node in every(schema)
             if node.get("format") and not known(node.get("type", ""), node["format"])]
    return list(dict.fromkeys(found))


def remember_storage(obj: Object) -> None:
    """Have the storage version among `status.storedVersions`."""
    status = obj["status"] = dict(obj.get("status") or {})
    stored = list(status.get("storedVersions") or ())
    for version in (obj.get("spec") or {}).get("versions") or ():
        if version.get("storage") and version.get("name") not in stored:
            status["storedVersions"] = [*stored, version.get("name")]
            return
