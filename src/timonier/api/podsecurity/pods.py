"""How the controls look at a pod, and how they tell of what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

Object = dict[str, Any]


class Pod(NamedTuple):
    """A pod, or the template of one."""

    metadata: Object
    spec: Object

    @property
    def containers(self) -> Iterator[Object]:
        for field in ("initContainers", "containers", "ephemeralContainers"):
            yield from self.spec.get(field) or ()

    @property
    def security(self) -> Object:
        return security(self.spec)

    @property
    def annotations(self) -> dict[str, str]:
        found: dict[str, str] = self.metadata.get("annotations") or {}
        return found

    @property
    def windows(self) -> bool:
        return (self.spec.get("os") or {}).get("name") == "windows"

    @property
    def in_user_namespace(self) -> bool:
        return self.spec.get("hostUsers") is False


class Violation(NamedTuple):
    """Why a control does not allow a pod: in short, and in particular."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


Control = Callable[[Pod], Violation | None]


def security(holder: Object) -> Object:
    """The security context of a pod's spec or of a container."""
    found: Object = holder.get("securityContext") or {}
    return found


def names(containers: Iterable[Object]) -> list[str]:
    return [container["name"] for container in containers]


def quoted(values: Iterable[str]) -> str:
    return ", ".join(f'"{value}"' for value in values)


def several(count: int, one: str, more: str) -> str:
    return one if count == 1 else more


def listed(containers: Sequence[str]) -> str:
    """`container "a"`, `containers "a", "b"`."""
    return f"{several(len(containers), 'container', 'containers')} {quoted(containers)}"


def setters(pod: bool, containers: Sequence[str]) -> str:
    """Who set something: `pod and containers "a", "b"`; empty for nobody."""
    return " and ".join([*(["pod"] if pod else []), *([listed(containers)] if containers else [])])
