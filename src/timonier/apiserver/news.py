"""What changed of a kind since somebody last looked: for those who derive something from all objects of a kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from timonier.apiserver.request import Object


class News(NamedTuple):
    """Changes of a kind up to `revision`: namespace, name, and the object, None where it is gone.

    `whole` says that these are all objects there are, since what changed is no longer known.
    """

    revision: int
    whole: bool
    changes: Iterable[tuple[str, str, Object | None]]
