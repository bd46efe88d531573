"""Random identifiers."""

from __future__ import annotations

import random

VARIANT, VERSION_4 = 0xF << 76 | 3 << 62, 4 << 76 | 2 << 62
"""The bits of a UUID that say of which kind it is, and what they are in a random one."""


def new_id() -> str:
    """A random UUID, version 4, for what is no secret; `uuid.uuid4` takes six times as long."""
    text = f"{random.getrandbits(128) & ~VARIANT | VERSION_4:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
