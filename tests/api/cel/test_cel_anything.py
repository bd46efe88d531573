"""Whatever is written as an expression, and whatever it is about: a value, or an error that says what is wrong."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.api import cel
from timonier.api.cel.functions import functions

TEXT = {"type": "string"}
ITEM = {"type": "object", "properties": {"k": TEXT, "v": {"type": "integer", "nullable": True}}}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {
    "a": TEXT, "n": {"type": "integer"}, "d": {"type": "number"}, "i": {"x-kubernetes-int-or-string": True},
    "l": {"type": "array", "items": ITEM, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
    "m": {"type": "object", "additionalProperties": TEXT}, "t": {"type": "string", "format": "date-time"},
    "s": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"}, "b": {"type": "string", "format": "byte"}}}
SELF = {"a": "abc", "n": 5, "d": 1, "l": [{"k": "x", "v": 1}, {"k": "y", "v": None}], "m": {"q": "r"}, "i": "50%",
        "t": "2020-01-01T00:00:00Z", "s": ["p", "q"], "b": "YQ=="}
BINDINGS = {"self": SELF, "oldSelf": {}, "x": {"y": [1, "a", None, {"z": 1.5}], "n": None}}
DECLARED = cel.declare(SCHEMA, "selfType")
assert DECLARED is not None
ENVIRONMENT = cel.Environment({"self": DECLARED, "oldSelf": DECLARED, "x": cel.dynamic()}, patches=True)

atoms = st.sampled_from([
    "self", "self.a", "self.n", "self.d", "self.l", "self.m", "self.t", "self.s", "self.i", "self.b", "oldSelf.a", "x",
    "x.y", "x.n", "1", "-1", "2u", "1.5", "'a'", "b'a'", "true", "null", "[]", "{}", "[1, 2]", "{'a': 1}",
    "duration('1s')", "optional.none()", "e", "v", "int", "self.l[0]", "x.y[3]", "self.?a", "x[?'y']",
    "quantity('1')", "ip('::1')"])
signs = st.sampled_from(["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||", "in"])
macros = st.sampled_from(["all", "exists", "exists_one", "map", "filter", "transformList", "transformMap", "optMap",
                          "sortBy", "transformMapEntry"])
names = st.sampled_from([name for name in functions(37) if name[0].isalpha()])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, signs, inner), st.builds("({} ? {} : {})".format, inner, inner, inner),
        st.builds("{}.{}(e, {})".format, inner, macros, inner),
        st.builds("{}.{}(e, v, {})".format, inner, macros, inner),
        st.builds("has({}.k)".format, inner), st.builds("!({})".format, inner), st.builds("-{}".format, inner),
        st.builds("[{}, {}]".format, inner, inner), st.builds("{{{}: {}}}".format, inner, inner),
        st.builds("{}[{}]".format, inner, inner), st.builds("{}.{}()".format, inner, names),
        st.builds("{}.{}({})".format, inner, names, inner), st.builds("{}({})".format, names, inner))


expressions = st.recursive(atoms, larger, max_leaves=8)
broken = st.builds("{}{}{}".format, expressions, st.text(max_size=2), expressions)


@given(st.one_of(expressions, broken, st.text(max_size=20)))
def test_expression_gives_a_value_or_says_what_is_wrong(expression: str) -> None:
    try:
        program = cel.compile(expression, ENVIRONMENT)
    except cel.CompileError:
        return
    meter = cel.Meter()
    assert cel.estimate(program.tree, DECLARED).most >= 0
    try:
        program(BINDINGS, meter)
    except cel.Failure as failure:
        assert not str(failure).startswith("invalid data")  # noqa: PT017


values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda inner: (
    st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from([*SELF, "k", "v"]), inner, max_size=3)))


@given(expressions, st.fixed_dictionaries(dict.fromkeys(SELF, values)))
def test_values_of_other_types_than_are_declared_are_failures(expression: str, value: dict[str, Any]) -> None:
    with contextlib.suppress(cel.CompileError, cel.Failure):
        cel.compile(expression, ENVIRONMENT)({"self": value, "oldSelf": value, "x": value})


@pytest.mark.parametrize("expression", ["self.a == self.a.trim()", "self.n % 2 == 1", "self.m.all(k, k == 'q')"])
def test_values_of_other_types_are_said_to_be_invalid(expression: str) -> None:
    program = cel.compile(expression, ENVIRONMENT)
    with pytest.raises(cel.Failure, match=r"^(invalid data, which is not of|no such overload)"):
        program({"self": {"a": 1, "n": "a", "m": 5}})


@pytest.mark.parametrize(("expression", "value"), [
    ("self == null", True), ("self == null || self.t > timestamp('2020-01-01T00:00:00Z')", True),
    ("type(self) == null_type", True), ("has(self.t)", False), ("[self].exists(e, e == null)", True)])
def test_variable_may_be_null_whatever_its_type(expression: str, value: bool) -> None:
    assert cel.compile(expression, ENVIRONMENT)({"self": None}) is value
