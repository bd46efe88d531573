"""Admission as the registry asks it, whoever answers: the plugins' chain, nobody, or somebody in between.

What plugins are stands in `apiserver.admission`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from timonier.apiserver import ownership
from timonier.apiserver.request import Attributes, Object


class Admission(Protocol):
    """All of admission. `admit` changes `obj` in place, `validate` only refuses; both raise `api.errors`."""

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None: ...

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None: ...


class Unasked:
    """No admission."""

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None: ...

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None: ...


UNASKED = Unasked()


@dataclass(frozen=True)
class Fronted:
    """Admission that is shown something else than the object that is written: the form in which a subresource has it.

    `show` makes the form of an object, `take` what becomes of the object where admission changed the form.
    """

    admission: Admission
    show: Callable[[Object], Object]
    take: Callable[[Object, Object], Object]

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        shown = self.show(obj)
        await self.admission.admit(attributes, shown, None if old is None else self.show(old))
        taken = self.take(obj, shown)
        obj.clear()
        obj.update(taken)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        await self.admission.validate(attributes, *(None if each is None else self.show(each) for each in (obj, old)))


async def admitted(admission: Admission, attributes: Attributes, obj: Object, old: Object | None) -> None:
    """Have admission change an object; what it makes of managedFields has to make sense."""
    before = obj["metadata"].get("managedFields")
    await admission.admit(attributes, obj, old)
    if trouble := ownership.admitted(obj, before):
        attributes.warn(trouble)
