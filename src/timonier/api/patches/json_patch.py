"""JSON patch, on the library `jsonpatch`. Source: RFC 6902.

A failed operation is 422, as from Kubernetes, whose message says nothing; the cause that we add says which one and why.
"""

from __future__ import annotations

from typing import Any

from timonier.api.errors import BadRequest, Cause, Invalid, RequestEntityTooLarge
from timonier.api.patches.clone import clone, shallow

LARGEST = 10_000
"""Operations in a patch."""
OPERATIONS = frozenset({"add", "remove", "replace", "move", "copy", "test"})
REJECTED = "the server rejected our request due to an error in our request"


@shallow
def json_patch(original: dict[str, Any], patch: Any) -> dict[str, Any]:
    """The document after all operations. Raises BadRequest, RequestEntityTooLarge or Invalid."""
    import jsonpatch
    import jsonpointer

    if not isinstance(patch, list):
        raise BadRequest(f"json: cannot unmarshal {go_kind(patch)} into Go value of type jsonpatch.Patch")
    if len(patch) > LARGEST:
        raise RequestEntityTooLarge(
            f"The allowed maximum operations in a JSON patch is {LARGEST}, got {len(patch)}")
    result: Any = clone(original)
    for operation in patch:
        check(operation)
        try:
            result = jsonpatch.JsonPatch([operation]).apply(result, in_place=True)
        except jsonpatch.JsonPatchTestFailed:
            if operation["value"] is None and jsonpointer.resolve_pointer(result, operation["path"], None) is None:
                continue  # Kubernetes holds what is absent and null for equal
            raise rejected(f"testing value {operation['path']} failed: test failed") from None
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError, IndexError):
            raise rejected(f'{operation["op"]} operation does not apply: doc is missing path: '
                           f'"{operation["path"]}": missing value') from None
    if not isinstance(result, dict):
        raise rejected("the patched document is no object")
    return clone(result)


def check(operation: Any) -> None:
    """Whether an operation has the parts that it needs."""
    if not isinstance(operation, dict):
        raise BadRequest(f"json: cannot unmarshal {go_kind(operation)} into Go value of type jsonpatch.Operation")
    name, path = operation.get("op"), operation.get("path")
    if not isinstance(name, str) or name not in OPERATIONS:
        raise rejected(f"Unexpected kind: {name if isinstance(name, str) else 'unknown'}")
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise rejected(f'{name} operation does not apply: doc is missing path: "{path or ""}": missing value')
    if name in ("move", "copy") and not isinstance(operation.get("from"), str):
        raise rejected(f"{name} operation does not apply: from is missing")
    if name in ("add", "replace", "test") and "value" not in operation:
        raise rejected(f"{name} operation does not apply: value is missing")


def rejected(why: str) -> Invalid:
    return Invalid(REJECTED, causes=[Cause("UnexpectedServerResponse", "", why)])


def go_kind(value: Any) -> str:
    """What Go's decoder calls a JSON value."""
    names = {dict: "object", list: "array", str: "string", bool: "bool", type(None): "null"}
    return names.get(type(value), "number")
