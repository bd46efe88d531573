"""What an admission plugin is, and what it may read.

A plugin sees a request after it was authorised and before it is stored. All of them first change the object (`admit`,
in order), then all judge the result (`validate`). They raise `api.errors`; the first error ends the request.
"""

from __future__ import annotations

from typing import Protocol

from timonier.api.errors import Forbidden, forbidden
from timonier.api.kinds import Kind
from timonier.apiserver.request import Attributes, Object

CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"


class Registry(Protocol):
    """The part of the registry that plugins read. What `peek` gives is shared: never change it."""

    def peek(self, kind: Kind, namespace: str, name: str) -> Object | None: ...

    def peek_all(self, kind: Kind, namespace: str = "") -> list[Object]: ...

    def changes(self, kind: Kind) -> int:
        """A number that grows with every change of the kind."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Object: ...


class Plugin:
    """A plugin that has nothing to say; the others override what they do."""

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        """Whether the plugin is to be asked about such requests at all; it may still let each of them pass."""
        return True

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Change `obj` in place. It is None for DELETE, `old` is None but for UPDATE and DELETE."""

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Judge the object as it will be stored."""


def refuse(attributes: Attributes, why: str, obj: Object | None = None) -> Forbidden:
    """403 in the words of Kubernetes's admission: `pods "web" is forbidden: …`."""
    return forbidden(attributes.group, attributes.resource, attributes.name or name_of(obj), why)


def name_of(obj: Object | None) -> str:
    metadata = (obj or {}).get("metadata") or {}
    return str(metadata.get("name") or metadata.get("generateName") or "")


def sizes_pod(attributes: Attributes) -> bool:
    """Whether the request decides what a pod's containers have: it makes the pod, or resizes it."""
    return is_pod(attributes, CREATE) or is_resize(attributes)


def is_resize(attributes: Attributes) -> bool:
    return (attributes.group, attributes.resource, attributes.subresource) == ("", "pods", "resize") \
        and attributes.operation == UPDATE


def is_pod(attributes: Attributes, *operations: str) -> bool:
    """Whether the request is about a pod itself, not a subresource of it, by one of the operations."""
    itself = attributes.resource == "pods" and not attributes.group and not attributes.subresource
    return itself and attributes.operation in operations
