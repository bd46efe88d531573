"""`jsonpatch.escapeKey`: a map's key as one step of a JSON pointer (RFC 6901)."""

from __future__ import annotations

from timonier.api.cel.costs import Scan
from timonier.api.cel.functions import function
from timonier.api.cel.types import STRING


def escape_key(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


FUNCTIONS = [function("jsonpatch.escapeKey", "string_jsonpatch_escapeKey_string", [STRING], STRING, escape_key,
                      Scan(keeps=True))]
