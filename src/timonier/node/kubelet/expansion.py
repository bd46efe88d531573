"""`$(NAME)` in commands, arguments and environment variables. Pure.

`$$` is a dollar sign, so `$$(NAME)` stays `$(NAME)`; a name that is not known stays as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

TOKEN = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, *values: Mapping[str, str]) -> str:
    """Replace each `$(NAME)` by its value in the first mapping that has one."""
    def value(found: re.Match[str]) -> str:
        if found[1] is None:
            return "$"
        return next((mapping[found[1]] for mapping in values if found[1] in mapping), found[0])
    return TOKEN.sub(value, text)


def unknown(text: str, values: Mapping[str, str]) -> list[str]:
    """The names in a text that have no value."""
    return [found[1] for found in TOKEN.finditer(text) if found[1] is not None and found[1] not in values]
