"""All nodes as columns, kept up to date one change at a time; what filters and scores compute with.

A node has a row for as long as it exists; rows of nodes that are gone are used again, so each mask is to be read
together with `exists`. Counts of pods by node are kept for each group of pods that a term or constraint ever asked
about, and for each term that running pods hold, so that no decision walks over pods.

Belongs to one task. Knows nothing of the API server; `scheduler.run` feeds it.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import numpy as np

from timonier.api.types import core_v1
from timonier.scheduler.columns import ABSENT, Counts, LabelColumn, Mask, ResourceTable, grown
from timonier.scheduler.request import CPU, MEMORY, PODS, STORAGE, UNSTATED, HostPort, Request, amounts
from timonier.scheduler.terms import PodGroup, PodTerm

T = TypeVar("T")

FIRST_ROWS = 16
GROUPS = 2048
"""Groups of pods whose counts are kept; the least recently asked for goes first."""
REMEMBERED = 4096
"""Results kept by `of_nodes`."""
SYMMETRIC_WEIGHT = 1
"""What a running pod's required affinity weighs when a pod that it wants near is scored."""

Taint = tuple[str, str, str]
"""Key, value, effect."""
Held = tuple[int, PodTerm]
"""A term of running pods: 0 for required anti-affinity, otherwise the weight of a preference."""


class Snapshot:
    """Every node, with what the pods on it take up."""

    def __init__(self) -> None:
        self.names: list[str] = [""] * FIRST_ROWS
        self.row_of: dict[str, int] = {}
        self.exists: Mask = np.zeros(FIRST_ROWS, dtype=np.bool_)
        self.unschedulable: Mask = np.zeros(FIRST_ROWS, dtype=np.bool_)
        self.resources = ResourceTable(FIRST_ROWS, (CPU, MEMORY, STORAGE, PODS))
        self.scored: list[Counts] = [np.zeros(FIRST_ROWS, dtype=np.int64) for _ in UNSTATED]
        """CPU and memory taken up (as UNSTATED lists them), with containers that state none taken for UNSTATED."""
        self.labels: dict[str, LabelColumn] = {}
        self.taints: list[tuple[Taint, ...]] = [()] * FIRST_ROWS
        self.tainted: dict[Taint, Mask] = {}
        self.ports: dict[tuple[str, int], dict[int, list[str]]] = defaultdict(dict)
        self.images: dict[str, dict[int, int]] = defaultdict(dict)
        self.namespaces: dict[str, Mapping[str, str]] = {}
        self.pods: dict[str, tuple[Request, str]] = {}
        self.on_node: dict[str, dict[str, Request]] = defaultdict(dict)
        self._by_priority: dict[int, Counts] = {}
        self._free: list[int] = list(range(FIRST_ROWS))[::-1]
        self._groups: OrderedDict[PodGroup, Counts] = OrderedDict()
        self._held: dict[Held, Counts] = {}
        self._of_nodes: dict[object, object] = {}

    # Nodes

    def set_node(self, node: core_v1.Node) -> None:
        """Add a node, or replace what is known of it."""
        name = node.metadata.name
        row = self.row_of.get(name)
        if row is None:
            row = self._new_row(name)
        self._of_nodes.clear()
        for amounts_of_one in self.resources.allocatable:
            amounts_of_one[row] = 0
        for resource, value in amounts(node.status.allocatable).items():
            column = self.resources.column(resource)
            self.resources.allocatable[column][row] = value
        self.unschedulable[row] = bool(node.spec.unschedulable)
        self._set_labels(row, node.metadata.labels)
        self._set_taints(row, tuple((taint.key, taint.value, taint.effect) for taint in node.spec.taints))
        self._set_images(row, node.status.images)

    def remove_node(self, name: str) -> None:
        row = self.row_of.pop(name, None)
        if row is None:
            return
        for request in self.on_node.get(name, {}).values():
            self._count(request, row, -1)
        self._of_nodes.clear()
        self.names[row], self.exists[row] = "", False
        self._set_labels(row, {})
        self._set_taints(row, ())
        self._set_images(row, [])
        self._free.append(row)

    def _new_row(self, name: str) -> int:
        if not self._free:
            self._grow(len(self.names) * 5 // 4)
        row = self._free.pop()
        self.row_of[name], self.names[row], self.exists[row] = row, name, True
        for request in self.on_node.get(name, {}).values():  # pods that were known before their node was
            self._count(request, row, 1)
        return row

    def _grow(self, rows: int) -> None:
        more = rows - len(self.names)
        self._free = list(range(len(self.names), rows))[::-1]
        self.names += [""] * more
        self.taints += [()] * more
        self.exists, self.unschedulable = grown(self.exists, rows, False), grown(self.unschedulable, rows, False)
        self.scored = [grown(array, rows) for array in self.scored]
        self.resources.grow(rows)
        for column in self.labels.values():
            column.codes = grown(column.codes, rows, ABSENT)
        self.tainted = {taint: grown(mask, rows, False) for taint, mask in self.tainted.items()}
        for group, counts in self._groups.items():
            self._groups[group] = grown(counts, rows)
        self._held = {held: grown(counts, rows) for held, counts in self._held.items()}
        self._by_priority = {priority: grown(counts, rows) for priority, counts in self._by_priority.items()}

    def _set_labels(self, row: int, labels: Mapping[str, str]) -> None:
        for key in labels:
            if key not in self.labels:
                self.labels[key] = LabelColumn(len(self.names))
        for key, column in self.labels.items():
            column.set(row, labels.get(key))

    def _set_taints(self, row: int, taints: tuple[Taint, ...]) -> None:
        for taint in self.taints[row]:
            self.tainted[taint][row] = False
        for taint in taints:
            if taint not in self.tainted:
                self.tainted[taint] = np.zeros(len(self.names), dtype=np.bool_)
            self.tainted[taint][row] = True
        self.taints[row] = taints

    def _set_images(self, row: int, images: list[core_v1.ContainerImage]) -> None:
        for sizes in self.images.values():
            sizes.pop(row, None)
        for image in images:
            for name in image.names:
                self.images[name][row] = image.sizeBytes or 0

    def domains(self, topologyKey: str) -> LabelColumn:
        """The column of a label; one that no node has, where none has it."""
        return self.labels.get(topologyKey) or LabelColumn(len(self.names))

    def of_nodes(self, key: object, compute: Callable[[], T]) -> T:
        """What `compute` gives, kept until a node changes: for what depends on nodes alone."""
        if key not in self._of_nodes:
            if len(self._of_nodes) >= REMEMBERED:
                self._of_nodes.clear()
            self._of_nodes[key] = compute()
        return self._of_nodes[key]  # type: ignore[return-value]

    # Pods

    def add_pod(self, request: Request, node: str) -> None:
        """Count a pod on a node; one that is there already is replaced."""
        self.remove_pod(request.uid)
        self.pods[request.uid] = request, node
        self.on_node[node][request.uid] = request
        row = self.row_of.get(node)
        if row is not None:
            self._count(request, row, 1)

    def remove_pod(self, uid: str) -> None:
        found = self.pods.pop(uid, None)
        if found is None:
            return
        request, node = found
        del self.on_node[node][uid]
        row = self.row_of.get(node)
        if row is not None:
            self._count(request, row, -1)
        elif not self.on_node[node]:
            del self.on_node[node]

    def _count(self, request: Request, row: int, sign: int) -> None:
        table = self.resources
        for resource, value in request.resources.items():
            column = table.column(resource)
            table.requested[column][row] += sign * value
        table.requested[table.columns[PODS]][row] += sign
        for taken, resource in zip(self.scored, UNSTATED, strict=True):
            taken[row] += sign * request.scored.get(resource, 0)
        if request.priority not in self._by_priority:
            self._by_priority[request.priority] = np.zeros(len(self.names), dtype=np.int64)
        self._by_priority[request.priority][row] += sign
        for port in request.ports:
            self._count_port(port, row, sign)
        for group, counts in self._groups.items():
            if in_group(group, request):
                counts[row] += sign
        for held in held_by(request):
            if held not in self._held:
                self._held[held] = np.zeros(len(self.names), dtype=np.int64)
            self._held[held][row] += sign
            if sign < 0 and not self._held[held].any():
                del self._held[held]

    def _count_port(self, port: HostPort, row: int, sign: int) -> None:
        protocol, number, address = port
        rows = self.ports[protocol, number]
        if sign > 0:
            rows.setdefault(row, []).append(address)
        else:
            rows[row].remove(address)
            if not rows[row]:
                del rows[row]

    def count(self, group: PodGroup) -> Counts:
        """How many pods of a group each node has. The array is the snapshot's own: read only."""
        counts = self._groups.get(group)
        if counts is None:
            counts = self._groups[group] = np.zeros(len(self.names), dtype=np.int64)
            for request, node in self.pods.values():
                if (row := self.row_of.get(node)) is not None and in_group(group, request):
                    counts[row] += 1
            if len(self._groups) > GROUPS:
                self._groups.popitem(last=False)
        self._groups.move_to_end(group)
        return counts

    def with_pods_below(self, priority: int) -> Mask:
        """The nodes that have a pod of a lower priority."""
        found = np.zeros(len(self.names), dtype=np.bool_)
        for each, counts in self._by_priority.items():
            if each < priority:
                found |= counts > 0
        return found

    def held_towards(self, request: Request, *, required: bool) -> Iterator[tuple[int, PodTerm, Counts]]:
        """Terms of running pods that this pod matches: weight, term, and how many pods hold it on each node."""
        for (weight, term), counts in self._held.items():
            if required == (weight == 0) and term.group(self.namespaces).has(request.namespace, request.labels):
                yield weight, term, counts


def in_group(group: PodGroup, request: Request) -> bool:
    return group.has(request.namespace, request.labels, leaving=request.leaving, owner=request.owner)


def held_by(request: Request) -> Iterator[Held]:
    for term in request.apart:
        yield 0, term
    for term in request.near:
        yield SYMMETRIC_WEIGHT, term
    yield from request.preferred_pods
