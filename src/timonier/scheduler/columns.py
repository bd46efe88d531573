"""Arrays that grow: one row a node, columns for resources, labels and taints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]
Codes = NDArray[np.int32]

ABSENT = -1


def grown(array: NDArray[Any], rows: int, fill: int | bool = 0) -> NDArray[Any]:
    """The array with at least so many rows, the new ones filled."""
    larger = np.full((rows, *array.shape[1:]), fill, dtype=array.dtype)
    larger[:len(array)] = array
    return larger


class LabelColumn:
    """One label of all nodes: a code for each value, ABSENT where a node does not have it."""

    def __init__(self, rows: int) -> None:
        self.codes: Codes = np.full(rows, ABSENT, dtype=np.int32)
        self.values: dict[str, int] = {}

    def set(self, row: int, value: str | None) -> None:
        self.codes[row] = ABSENT if value is None else self.values.setdefault(value, len(self.values))

    def where(self, holds: Callable[[str], bool]) -> Mask:
        """The nodes that have the label with a value for which `holds` is true."""
        table = np.zeros(len(self.values) + 1, dtype=np.bool_)  # the last one is what ABSENT finds
        for value, code in self.values.items():
            table[code] = holds(value)
        found: Mask = table[self.codes]
        return found

    def one_of(self, values: list[str]) -> Mask:
        codes = [self.values[value] for value in values if value in self.values]
        found: Mask = np.isin(self.codes, codes)
        return found


class ResourceTable:
    """Amounts of resources, one array each; an unknown resource gets zeros."""

    def __init__(self, rows: int, names: tuple[str, ...]) -> None:
        self._rows = rows
        self.columns: dict[str, int] = {}
        self.allocatable: list[Counts] = []
        self.requested: list[Counts] = []
        for name in names:
            self.column(name)

    def column(self, name: str) -> int:
        """The place of a resource in both lists."""
        if name not in self.columns:
            self.columns[name] = len(self.columns)
            self.allocatable.append(np.zeros(self._rows, dtype=np.int64))
            self.requested.append(np.zeros(self._rows, dtype=np.int64))
        return self.columns[name]

    def grow(self, rows: int) -> None:
        self._rows = rows
        self.allocatable = [grown(array, rows) for array in self.allocatable]
        self.requested = [grown(array, rows) for array in self.requested]
