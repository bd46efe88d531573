"""AlwaysPullImages: nobody runs an image that lies on a node without showing the right to pull it."""

from __future__ import annotations

from collections.abc import Iterator

from timonier.apiserver.admission.contract import CREATE, UPDATE, Plugin, refuse
from timonier.apiserver.request import Attributes, Object

ALWAYS = "Always"


class AlwaysPullImages(Plugin):
    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource) == ("", "pods") and subresource in ("", "ephemeralcontainers") \
            and operation in (CREATE, UPDATE)

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        if old is None or images(obj) != images(old):
            for _, container in containers(obj):
                container["imagePullPolicy"] = ALWAYS
            for volume in obj["spec"].get("volumes") or ():
                if image := volume.get("image"):
                    image["pullPolicy"] = ALWAYS

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Raises Forbidden where another plugin undid it."""
        assert obj is not None
        if old is not None and images(obj) == images(old):
            return
        for path, container in containers(obj):
            if (policy := container.get("imagePullPolicy")) != ALWAYS:
                raise refuse(attributes, f'{path}.imagePullPolicy: Unsupported value: "{policy}": supported values: '
                             f'"{ALWAYS}"', obj)


def containers(pod: Object) -> Iterator[tuple[str, Object]]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(pod["spec"].get(field) or ()):
            yield f"spec.{field}[{index}]", container


def images(pod: Object) -> set[str]:
    return {str(container.get("image")) for _, container in containers(pod)}
