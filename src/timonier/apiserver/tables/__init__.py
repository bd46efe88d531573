"""Tables: what `kubectl get` shows of objects, made by the server so that every client shows the same.

A table has columns (name, type, and whether only `-o wide` shows it) and a row for each object. Columns are data, keyed
by `Kind.id`, in one module for each part of the API; the functions that fill cells are pure, and time is an argument.
Source: KEP-575 (server-side printing); columns as in Kubernetes v1.37.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from timonier.api.kinds import Kind
from timonier.apiserver.request import Object
from timonier.apiserver.tables.cluster import CLUSTER_COLUMNS
from timonier.apiserver.tables.columns import CREATED_AT, NAME, Column
from timonier.apiserver.tables.network import NETWORK_COLUMNS
from timonier.apiserver.tables.pods import POD_COLUMNS, TEMPLATE_COLUMNS, conditions
from timonier.apiserver.tables.storage import STORAGE_COLUMNS
from timonier.apiserver.tables.workloads import WORKLOAD_COLUMNS
from timonier.kit.clock import Time

if TYPE_CHECKING:
    from timonier.api.structural.shape import Custom

API_VERSION = "meta.k8s.io/v1"
PLAIN = (NAME, CREATED_AT)
"""The columns of kinds that have none of their own."""

COLUMNS: dict[str, tuple[Column, ...]] = {
    "v1/Pod": POD_COLUMNS, "v1/PodTemplate": TEMPLATE_COLUMNS,
    **WORKLOAD_COLUMNS, **NETWORK_COLUMNS, **STORAGE_COLUMNS, **CLUSTER_COLUMNS}
ROW_CONDITIONS = {"v1/Pod": conditions}
CUSTOM_COLUMNS: WeakKeyDictionary[Custom, tuple[Column, ...]] = WeakKeyDictionary()


def table(kind: Kind, objects: Iterable[Object], now: Time, include: str = "Metadata") -> dict[str, Any]:
    """The Table of some objects, with empty list metadata for the caller to fill.

    `include` says what each row carries of its object: `Metadata` (as PartialObjectMetadata), `Object`, or `None`.
    """
    columns = columns_of(kind)
    return {"kind": "Table", "apiVersion": API_VERSION, "metadata": {},
            "columnDefinitions": [column.definition() for column in columns],
            "rows": [row(kind, columns, obj, now, include) for obj in objects]}


def blank(kind: Kind, metadata: Object, include: str = "Metadata") -> dict[str, Any]:
    """The Table of an object that has nothing but metadata without a name: a bookmark of a watch."""
    made = table(kind, (), 0.0)
    carried = {"Metadata": {"kind": "PartialObjectMetadata", "apiVersion": API_VERSION, "metadata": metadata},
               "Object": {"kind": kind.kind, "apiVersion": kind.apiVersion, "metadata": metadata}}
    cells = [ZEROS.get(column.type, "") for column in columns_of(kind)]
    made["rows"] = [{"cells": cells} | ({"object": carried[include]} if include in carried else {})]
    return made


ZEROS: dict[str, Any] = {"integer": 0, "number": 0, "boolean": False}
"""Cells of columns that have nothing to show, where that is not an empty text."""


def columns_of(kind: Kind) -> tuple[Column, ...]:
    """The columns of a kind; those of a custom one are found once and stay with its shape."""
    if kind.custom is None:
        return COLUMNS.get(kind.id) or COLUMNS.get(kind.stored_id, PLAIN)
    found = CUSTOM_COLUMNS.get(kind.custom)
    if found is None:
        from timonier.apiserver.tables import custom

        found = CUSTOM_COLUMNS[kind.custom] = custom.columns_of(kind.custom)
    return found


def row(kind: Kind, columns: Iterable[Column], obj: Object, now: Time, include: str) -> dict[str, Any]:
    made: dict[str, Any] = {"cells": [column.cell(obj, now) for column in columns]}
    if found := ROW_CONDITIONS.get(kind.stored_id, no_conditions)(obj):
        made["conditions"] = found
    if include == "Object":
        made["object"] = obj
    elif include != "None":
        made["object"] = {"kind": "PartialObjectMetadata", "apiVersion": API_VERSION, "metadata": obj["metadata"]}
    return made


def no_conditions(obj: Object) -> list[dict[str, Any]]:
    return []
