"""Optional values: made by `optional.of`, `x.?field` and `x[?key]`, opened by `orValue`. Their macros are in `macros`.
"""

from __future__ import annotations

from typing import Any

from timonier.api.cel import types
from timonier.api.cel.functions import function, method
from timonier.api.cel.types import BOOL, INT
from timonier.api.cel.values import FIRST_MOMENT, NONE, Duration, Failure, Optional, Timestamp

SINCE = 28
V, K = types.variable("V"), types.variable("K")
OPTIONAL, LIST, MAP = types.optional_of(V), types.list_of(V), types.map_of(K, V)
OPTIONAL_LIST, OPTIONAL_MAP = types.optional_of(LIST), types.optional_of(MAP)
TYPES = [types.optional_of(types.DYN)]


def of_non_zero(value: Any) -> Optional:
    if value is None or value in (0, "", b"", [], {}) or value in (Duration(0), Timestamp(FIRST_MOMENT)):
        return NONE
    return Optional(value)


def unwrapped(values: list[Any]) -> list[Any]:
    if wrong := [value for value in values if value.__class__ is not Optional]:
        raise Failure(f"value {wrong[0]} is not optional")
    return [value.value for value in values if value.present]


def unused(*arguments: Any) -> Any:
    """The evaluator sees to `or`, `orValue` and indices itself, since they do not always look at all arguments."""
    raise AssertionError(arguments)


FUNCTIONS = [
    function("optional.of", "optional_of", [V], OPTIONAL, Optional, since=SINCE),
    function("optional.ofNonZeroValue", "optional_ofNonZeroValue", [V], OPTIONAL, of_non_zero, since=SINCE),
    function("optional.none", "optional_none", [], OPTIONAL, lambda: NONE, since=SINCE),
    method("value", "optional_value", [OPTIONAL], V, Optional.get, since=SINCE),
    method("hasValue", "optional_hasValue", [OPTIONAL], BOOL, lambda optional: optional.present, since=SINCE),
    method("or", "optional_or_optional", [OPTIONAL, OPTIONAL], OPTIONAL, unused, since=SINCE),
    method("orValue", "optional_orValue_value", [OPTIONAL, V], V, unused, since=SINCE),
    function("_[?_]", "list_optindex_optional_int", [LIST, INT], OPTIONAL, unused, since=SINCE),
    function("_[?_]", "optional_list_optindex_optional_int", [OPTIONAL_LIST, INT], OPTIONAL, unused, since=SINCE),
    function("_[?_]", "map_optindex_optional_value", [MAP, K], OPTIONAL, unused, since=SINCE),
    function("_[?_]", "optional_map_optindex_optional_value", [OPTIONAL_MAP, K], OPTIONAL, unused, since=SINCE),
    function("_[_]", "optional_list_index_int", [OPTIONAL_LIST, INT], OPTIONAL, unused, since=SINCE),
    function("_[_]", "optional_map_index_value", [OPTIONAL_MAP, K], OPTIONAL, unused, since=SINCE),
    method("first", "list_first", [LIST], OPTIONAL, lambda values: Optional(values[0]) if values else NONE,
           since=SINCE),
    method("last", "list_last", [LIST], OPTIONAL, lambda values: Optional(values[-1]) if values else NONE,
           since=SINCE),
    function("optional.unwrap", "optional_unwrap", [types.list_of(OPTIONAL)], LIST, unwrapped, since=SINCE),
    method("unwrapOpt", "optional_unwrapOpt", [types.list_of(OPTIONAL)], LIST, unwrapped, since=SINCE),
]
