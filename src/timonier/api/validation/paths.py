"""Paths: nothing may climb out of the place that it was given."""

from __future__ import annotations

from timonier.api.validation.causes import Causes

CLIMBS = "must not contain '..'"


def no_backsteps(value: str, path: str, causes: Causes) -> None:
    if ".." in value and ".." in value.split("/"):
        causes.invalid(path, value, CLIMBS)


def local_path(value: str, path: str, causes: Causes) -> None:
    """A path below the volume's root."""
    if value.startswith("/"):
        causes.invalid(path, value, "must be a relative path")
    no_backsteps(value, path, causes)


def plain_path(value: str, path: str, causes: Causes) -> None:
    """A path of a file that we write: `..data` and its like are ours."""
    local_path(value, path, causes)
    if value.startswith("..") and not value.startswith("../"):
        causes.invalid(path, value, "must not start with '..'")
