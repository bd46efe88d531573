"""JSON merge patch. Source: RFC 7386."""

from __future__ import annotations

from typing import Any

from timonier.api.errors import BadRequest
from timonier.api.patches.clone import clone, shallow


@shallow
def merge_patch(original: dict[str, Any], patch: Any) -> dict[str, Any]:
    """The document with the patch merged in: null removes, maps merge, all else replaces. Raises BadRequest."""
    if not isinstance(patch, dict):
        raise BadRequest("Invalid JSON Patch")
    return merge(original, patch)


def merge(original: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    result = {key: clone(value) for key, value in original.items() if key not in patch}
    merged = {key: merge(below if isinstance(below := original.get(key), dict) else {}, value)
              if isinstance(value, dict) else clone(value)
              for key, value in patch.items() if value is not None}
    return {key: merged[key] if key in merged else result[key] for key in (*original, *patch)
            if key in merged or key in result}
