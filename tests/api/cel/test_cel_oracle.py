"""Made-up expressions beside Google's C++ implementation: the same values, and errors in the same places."""

from __future__ import annotations

from typing import Any

from cel_expr_python import cel as theirs
from hypothesis import given
from hypothesis import strategies as st

from timonier.api import cel

DATA: dict[str, Any] = {"i": 7, "s": "añb", "b": True, "d": 1.5, "numbers": [3, 1, 2], "texts": ["a", "bc"],
                        "counts": {"k": 1, "l": 2}, "any": {"n": 1, "t": "x", "list": [1, "a"]}}
KINDS = {"i": (theirs.Type.INT, {"type": "integer"}), "s": (theirs.Type.STRING, {"type": "string"}),
         "b": (theirs.Type.BOOL, {"type": "boolean"}), "d": (theirs.Type.DOUBLE, {"type": "number"}),
         "numbers": (theirs.Type.List(theirs.Type.INT), {"type": "array", "items": {"type": "integer"}}),
         "texts": (theirs.Type.List(theirs.Type.STRING), {"type": "array", "items": {"type": "string"}}),
         "counts": (theirs.Type.Map(theirs.Type.STRING, theirs.Type.INT),
                 {"type": "object", "additionalProperties": {"type": "integer"}}),
         "any": (theirs.Type.DYN, {"x-kubernetes-int-or-string": True})}
THEIRS = theirs.NewEnv(variables={name: kind for name, (kind, _) in KINDS.items()})
OURS = cel.Environment({name: cel.declare(schema, name) or cel.dynamic() for name, (_, schema) in KINDS.items()})

ints = st.sampled_from(["0", "1", "-3", "7", "9223372036854775807", "i", "size(s)", "size(numbers)", "counts.k",
                        "int(d)", "numbers[1]", "numbers[5]", "int('12')", "any.n", "counts['l']", "any.absent"])
texts = st.sampled_from(["''", "'a'", "'ñ'", "s", "texts[1]", "string(i)", "any.t", "string(d)", "r'\\n'", "'\\u00e9'"])
doubles = st.sampled_from(["0.0", "1.5", "-2.25", "d", "double(i)", "1e3", "double('2.5')"])
uints = st.sampled_from(["0u", "1u", "18446744073709551615u", "uint(7)"])


def joined(parts: st.SearchStrategy[str], signs: str) -> st.SearchStrategy[str]:
    sign = st.sampled_from(signs.split())
    return st.recursive(parts, lambda inner: st.builds("({} {} {})".format, inner, sign, inner), max_leaves=4)


# No division of doubles: what is not a number has no order here, as in Go, and is less than nothing in C++.
numbers, words, reals, naturals = (joined(ints, "+ - * / %"), joined(texts, "+"), joined(doubles, "+ - *"),
                                   joined(uints, "+ - * / %"))
comparisons = st.one_of(*(st.builds("{} {} {}".format, kind, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), kind)
                          for kind in (numbers, words, reals, naturals)))
tests = st.one_of(
    comparisons, st.just("b"), st.builds("{}.startsWith({})".format, words, words),
    st.builds("{}.contains({})".format, words, words), st.builds("{} in numbers".format, numbers),
    st.builds("{} in counts".format, words), st.builds("has(counts.{})".format, st.sampled_from("kx")),
    st.builds("has(any.{})".format, st.sampled_from(["n", "x"])),
    st.builds("numbers.{}(x, x {} {})".format, st.sampled_from(["all", "exists", "exists_one"]),
              st.sampled_from(["<", ">", "=="]), numbers),
    st.builds("numbers.map(x, x + {}) == numbers".format, numbers),
    st.builds("numbers.filter(x, x > {}).size() > 1".format, numbers),
    st.builds("texts.map(t, t + {}) == texts".format, words), st.builds("{}.matches('^[a-z]+$')".format, words),
    st.builds("counts.all(k, counts[k] < {})".format, numbers))
conditions = st.recursive(tests, lambda inner: st.one_of(
    st.builds("({} && {})".format, inner, inner), st.builds("({} || {})".format, inner, inner),
    st.builds("!({})".format, inner), st.builds("({} ? {} : {})".format, inner, inner, inner)), max_leaves=6)


@given(st.one_of(conditions, numbers, words, reals))
def test_expressions_mean_what_they_mean_elsewhere(expression: str) -> None:
    expected = THEIRS.compile(expression).eval(data=DATA)
    program = cel.compile(expression, OURS)
    try:
        value = program(DATA)
    except cel.Failure:
        assert expected.type() == theirs.Type.ERROR, expected.value()
    else:
        assert expected.type() != theirs.Type.ERROR, expected.value()
        assert expected.value() == value
