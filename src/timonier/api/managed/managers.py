"""managedFields, read and written: who manages which fields of an object.

Source: Kubernetes API reference, "ManagedFieldsEntry v1 meta".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from timonier.api.managed.fields import BadFields, FieldSet, read

APPLY, UPDATE = "Apply", "Update"
FIELDS_TYPE = "FieldsV1"


class Manager(NamedTuple):
    """Whose fields these are. An applier is the same whatever version it applies; an updater is not."""

    name: str
    operation: str
    apiVersion: str = ""
    """Of updaters alone."""
    subresource: str = ""

    def __str__(self) -> str:
        text = f'"{self.name}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.apiVersion}" if self.operation == UPDATE else text


def applier(name: str, subresource: str = "") -> Manager:
    return Manager(name, APPLY, "", subresource)


def updater(name: str, apiVersion: str, subresource: str = "") -> Manager:
    return Manager(name, UPDATE, apiVersion, subresource)


@dataclass(frozen=True, slots=True)
class Owned:
    """What a manager manages, in the version in which it wrote, and when it last did."""

    fields: FieldSet
    apiVersion: str
    time: str = ""
    """RFC 3339; empty where it never was said."""


Managers = Mapping[Manager, Owned]
"""Never changed; each operation makes another."""


class BadManagers(Exception):
    """A list that is no managedFields; the message says why."""


def decode(entries: Iterable[Mapping[str, Any]] | None, *, known: bool = False) -> dict[Manager, Owned]:
    """The managers of an object. Raises BadManagers.

    `known` says that the entries are as `encode` wrote them; others are brought into the canonical form.
    """
    found: dict[Manager, Owned] = {}
    for place, entry in enumerate(entries or ()):
        operation, version = entry.get("operation", ""), entry.get("apiVersion") or ""
        if not known:
            judge(entry, place)
        manager = Manager(entry.get("manager") or "", operation, version if operation == UPDATE else "",
                          entry.get("subresource") or "")
        fields = entry.get("fieldsV1") or {}
        try:
            found[manager] = Owned(fields if known else read(fields), version, entry.get("time") or "")
        except BadFields as error:
            raise BadManagers(f"error decoding set: {error}") from None
    return found


def judge(entry: Mapping[str, Any], place: int) -> None:
    """Raise BadManagers where an entry lacks what every entry has."""
    if entry.get("operation") not in (APPLY, UPDATE):
        raise BadManagers("operation must be `Apply` or `Update`")
    if not entry.get("apiVersion"):
        raise BadManagers("apiVersion must not be empty")
    form = entry.get("fieldsType") or ""
    if not form:
        raise BadManagers(f"missing fieldsType in managed fields entry {place}")
    if form != FIELDS_TYPE:
        raise BadManagers(f'invalid fieldsType "{form}" in managed fields entry {place}')


def encode(managers: Managers) -> list[dict[str, Any]]:
    """managedFields: appliers first, then by time and name."""
    ordered = managers if len(managers) < 2 else sorted(managers, key=lambda manager: (
        manager.operation, managers[manager].time, manager.name, managers[manager].apiVersion, manager.subresource))
    return [encoded(manager, owned.fields, owned.apiVersion, owned.time)
            for manager, owned in ((manager, managers[manager]) for manager in ordered)]


def encoded(manager: Manager, fields: FieldSet, apiVersion: str, time: str) -> dict[str, Any]:
    """What managedFields say of one manager."""
    entry: dict[str, Any] = {"manager": manager.name, "operation": manager.operation, "apiVersion": apiVersion}
    if time:
        entry["time"] = time
    entry["fieldsType"], entry["fieldsV1"] = FIELDS_TYPE, fields
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def is_reset(entries: Any) -> bool:
    """Whether somebody asks for nobody to manage anything: an empty list, or one with an empty entry."""
    return entries is not None and (not entries or (len(entries) == 1 and not any(entries[0].values())))
