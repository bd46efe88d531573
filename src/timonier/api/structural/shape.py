"""The shape of a custom kind in one version: what its definition makes of its objects.

Source: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions". What `validate` says, and
in which order, follows the API server's strategy for custom resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from timonier.api import names
from timonier.api.check import META as META_PACKAGE
from timonier.api.check import Checked, unreadable
from timonier.api.errors import Cause
from timonier.api.kinds import Kind
from timonier.api.structural import default, embedded, listtypes, prune, values
from timonier.api.structural.nodes import EMBEDDED, LIST_TYPE, RULES, Schema, mentions, properties
from timonier.api.structural.paths import read
from timonier.api.validation.causes import Causes
from timonier.api.validation.metadata import metadata, metadata_update

if TYPE_CHECKING:
    from timonier.api.structural.rules import Node

Object = dict[str, Any]

LARGEST_REPLICAS = 2**31 - 1
NO_SCHEMA: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


class Custom:
    """The shape of objects of a kind, by an entry of `spec.versions` of its definition.

    What a schema compiles to is made when first used: a server may know hundreds of kinds and be asked for three.
    """

    def __init__(self, kind: str, version: Object, *, namespaced: bool = True, preserves: bool = False,
                 scales: Mapping[str, str] | None = None) -> None:
        self.kind, self.version, self.namespaced = kind, version, namespaced
        self.own: Schema = (version.get("schema") or {}).get("openAPIV3Schema") or NO_SCHEMA
        """The schema as its author wrote it."""
        self.preserves = preserves
        """Whether nothing is pruned, as `spec.preserveUnknownFields` of old definitions has it."""
        self.scales = scales or {}
        """Where objects say how many replicas they want, by apiVersion; empty for versions that are not scaled."""

    @cached_property
    def schema(self) -> Schema:
        """The whole object, with the fields that every resource has."""
        every = {"apiVersion": {"type": "string"}, "kind": {"type": "string"},
                 "metadata": {"$ref": META_PACKAGE + "ObjectMeta"}}
        return self.own | {"properties": properties(self.own) | every}

    @cached_property
    def _prune(self) -> prune.Step:
        return prune.compiled(self.own, root=True)

    @cached_property
    def _default(self) -> default.Step | None:
        return default.compiled(self.own) if mentions(self.own, "default") else None

    @cached_property
    def _values(self) -> values.Check:
        return values.compiled(self.own)

    @cached_property
    def _status(self) -> values.Check | None:
        found = properties(self.own).get("status")
        return values.compiled(found) if found is not None else None

    @cached_property
    def _lists(self) -> listtypes.Check | None:
        return listtypes.compiled(self.own) if mentions(self.own, LIST_TYPE) else None

    @cached_property
    def _rules(self) -> Node | None:
        if not mentions(self.own, RULES):
            return None
        from timonier.api.structural import rules  # not without rules: it reads expressions

        return rules.compiled(self.own)

    @cached_property
    def _embedded(self) -> embedded.Walk | None:
        """What leads to the resources within an object, itself not among them."""
        if not mentions(self.own, EMBEDDED):
            return None
        return embedded.walk({key: value for key, value in self.own.items() if key != EMBEDDED})

    def check(self, obj: Object) -> Checked:
        """The object as Go would decode it and the schema prune it, in place. Raises Unreadable."""
        meta: list[str] = []
        pruned: list[str] = []
        within: list[str] = []
        try:
            embedded.decode_metadata(obj, "", meta)
            if not self.preserves:
                self._prune(obj, None, pruned)
            if self._embedded:
                self._embedded(obj, "", lambda resource, path: embedded.coerce(resource, path, within))
        except embedded.NoResource as error:
            raise unreadable(self.version["name"], self.kind, str(error)) from None
        except RecursionError:
            raise unreadable(self.version["name"], self.kind, "exceeded max depth") from None
        return Checked(obj, [f'unknown field "{path}"' for path in (*meta, *sorted(pruned), *sorted(within))])

    def read(self, obj: Object) -> None:
        """What the schema makes of an object that was stored, perhaps by another schema, in place."""
        if not self.preserves:
            self._prune(obj, None, [])
        self.default(obj)

    @cached_property
    def selectable(self) -> tuple[str, ...]:
        """The fields that field selectors may name, beside those of metadata."""
        return tuple(field["jsonPath"].removeprefix(".") for field in self.version.get("selectableFields") or ())

    def default(self, obj: Object) -> None:
        if self._default:
            self._default(obj)

    def fill(self, obj: Object) -> None:
        """A custom object has nothing but what was written and what its schema says by default."""

    def validate(self, obj: Object, old: Object | None, subresource: str = "") -> list[Cause]:
        causes = Causes()
        self._metadata(obj, old, causes)
        before: Any = values.NEW if old is None else old
        if subresource != "status":
            causes += values.judge(self._values, obj, before)
            self._spec_scale(obj, causes)
        elif "status" in obj and self._status:
            then = values.NEW if old is None else old.get("status", values.NEW)
            causes += values.judge(self._status, obj["status"], then, "status")
        self._status_scale(obj, causes)
        if self._embedded and subresource != "status":
            self._embedded(obj, "", lambda resource, path: embedded.judge(resource, path, causes))
        self._sets_and_maps(obj, old, causes)
        if self._rules is not None:
            causes += [self._rules.unchecked] if self._rules.blocked(causes) else self._rules.judge(obj, before)
        return causes

    def _metadata(self, obj: Object, old: Object | None, causes: Causes) -> None:
        if old is not None:
            metadata_update(obj, old, causes)
        else:
            row = Kind("", self.version["name"], self.kind, "", namespaced=self.namespaced)
            metadata(row, obj, names.dns_subdomain, causes)

    def _sets_and_maps(self, obj: Object, old: Object | None, causes: Causes) -> None:
        """What had equal elements before may have them still."""
        if self._lists:
            found, before = Causes(), Causes()
            self._lists(obj, "", found)
            if found and old is not None:
                self._lists(old, "", before)
            if not before:
                causes += found

    @property
    def scale(self) -> Object | None:
        """The paths of the scale subresource."""
        found: Object | None = (self.version.get("subresources") or {}).get("scale")
        return found

    def _spec_scale(self, obj: Object, causes: Causes) -> None:
        if self.scale:
            replicas(obj, self.scale["specReplicasPath"], causes)

    def _status_scale(self, obj: Object, causes: Causes) -> None:
        if not self.scale:
            return
        replicas(obj, self.scale["statusReplicasPath"], causes)
        path = self.scale.get("labelSelectorPath")
        if path and (why := read(obj, path, str)[1]):
            causes.invalid(path, "", why)


def replicas(obj: Object, path: str, causes: Causes) -> None:
    """Whether a number of replicas can be one."""
    found, why = read(obj, path, int)
    if why:
        causes.invalid(path, 0, why)
    elif found is not None and found < 0:
        causes.invalid(path, found, "should be a non-negative integer")
    elif found is not None and found > LARGEST_REPLICAS:
        causes.invalid(path, found, f"should be less than or equal to {LARGEST_REPLICAS}")
