"""The managers of a Scale: those who manage the replicas of the object that is scaled, seen at the place where a Scale
has them, and the way back. Source: KEP-555; Kubernetes API reference, "Scale autoscaling/v1".
"""

from __future__ import annotations

from collections.abc import Mapping

from timonier.api.managed import fields as sets
from timonier.api.managed.fields import Path
from timonier.api.managed.managers import Manager, Managers, Owned

VERSION = "autoscaling/v1"
REPLICAS: Path = ("f:spec", "f:replicas")
"""Where a Scale has the number that is wanted."""
Places = Mapping[str, Path]
"""Where the scaled object has it, by version."""


def of_scale(managers: Managers, places: Places) -> dict[Manager, Owned]:
    """Who manages the replicas of a Scale."""
    return {manager: Owned(sets.of(REPLICAS), VERSION, owned.time) for manager, owned in managers.items()
            if owned.apiVersion in places and sets.contains(owned.fields, places[owned.apiVersion])}


def of_scaled(managers: Managers, scale: Managers, places: Places, version: str) -> dict[Manager, Owned]:
    """The managers of an object of that version once those of its Scale are known: who lost the replicas there has
    lost them here."""
    kept: dict[Manager, Owned] = {}
    for manager, owned in managers.items():
        place = places.get(owned.apiVersion)
        if place is None:
            continue  # no such version any more
        fields = owned.fields if manager in scale else sets.difference(owned.fields, sets.of(place))
        if fields:
            kept[manager] = owned if fields is owned.fields else Owned(fields, owned.apiVersion, owned.time)
    for manager, owned in scale.items():
        if manager not in managers and sets.contains(owned.fields, REPLICAS):
            kept[manager] = Owned(sets.of(places[version]), version, owned.time)
    return kept
