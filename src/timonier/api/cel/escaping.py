"""Property names as an expression can spell them: `__dot__` and the like (Kubernetes documentation, "Escaping")."""

from __future__ import annotations

import re

from timonier.api.cel.parse import RESERVED

SIGNS = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
NAMES = {spelled: sign for sign, spelled in SIGNS.items()} | {f"__{word}__": word for word in RESERVED}
PROPERTY = re.compile(r"[A-Za-z_.\-/][A-Za-z0-9_.\-/]*")
SPELLED = re.compile(r"__[^_]+__")


def escape(name: str) -> str | None:
    """The identifier for a property, or None where no expression can reach it."""
    if name in RESERVED:
        return f"__{name}__"
    if not PROPERTY.fullmatch(name):
        return None
    return re.sub(r"__|[.\-/]", lambda found: SIGNS[found.group()], name)


def unescape(identifier: str) -> str | None:
    """The property that an identifier stands for, or None where it stands for none."""
    if identifier in NAMES:
        return NAMES[identifier]
    spelled = SPELLED.findall(identifier)
    if any(part not in NAMES or NAMES[part] in RESERVED for part in spelled):
        return None
    return SPELLED.sub(lambda found: NAMES[found.group()], identifier)
