"""What is said against expressions that cannot be compiled: cel-go's words, with the place below the line."""

from __future__ import annotations

import pytest

from timonier.api import cel

TEXT = {"type": "string"}
SCHEMA = {"type": "object", "properties": {
    "name": TEXT, "count": {"type": "integer"}, "items": {"type": "array", "items": TEXT}, "namespace": TEXT,
    "a-b/c.d": TEXT, "spec": {"type": "object", "properties": {"x": TEXT}},
    "free": {"x-kubernetes-preserve-unknown-fields": True}}}
STARTS = ("{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, "
          "IDENTIFIER}")
WRONG = {
    "self.nme == 'a'": (5, "undefined field 'nme'"),
    "self.spec.y": (10, "undefined field 'y'"),
    "self.free == 1": (5, "undefined field 'free'"),
    "self.name + 1": (11, "found no matching overload for '_+_' applied to '(string, int)'"),
    "self.spec + 1 == 2": (11, "found no matching overload for '_+_' applied to '(selfType.spec, int)'"),
    "self.name.foo()": (14, "undeclared reference to 'foo' (in container '')"),
    "foo(1)": (4, "undeclared reference to 'foo' (in container '')"),
    "other == 1": (1, "undeclared reference to 'other' (in container '')"),
    "self.count.size()": (16, "found no matching overload for 'size' applied to 'int.()'"),
    "self.count.x": (11, "type 'int' does not support field selection"),
    "self.count && true": (5, "expected type 'bool' but found 'int'"),
    "self.name.all(x, true)": (5, "expression of type 'string' cannot be range of a comprehension (must be list, map, "
                                  "or dynamic)"),
    "[1, 'a']": (5, "expected type 'int' but found 'string'"),
    "{'a': 1, 'b': 'c'}": (15, "expected type 'int' but found 'string'"),
    "self.items.all(1, true)": (16, "argument must be a simple name"),
    "self.items.map(1, true)": (16, "argument is not an identifier"),
    "has(self)": (5, "invalid argument to has() macro"),
    "duration('x') == duration('1s')": (10, "invalid duration argument"),
    "timestamp('x') == timestamp(0)": (11, "invalid timestamp argument"),
    "self.name.matches('(')": (19, "invalid matches argument"),
    "package == 1": (1, "reserved identifier: package"),
    "99999999999999999999 == 1": (1, "invalid int literal"),
    "self.name ==": (13, f"Syntax error: mismatched input '<EOF>' expecting {STARTS}"),
    "self.name == 'a": (14, "Syntax error: token recognition error at: ''a'"),
    "self.count = 1": (12, "Syntax error: token recognition error at: '= '"),
    "(1 + 2": (7, "Syntax error: missing ')' at '<EOF>'"),
    "1 + 2)": (6, "Syntax error: extraneous input ')' expecting <EOF>"),
    "1 2 3": (3, "Syntax error: mismatched input '2' expecting <EOF>"),
    "* 1": (1, f"Syntax error: extraneous input '*' expecting {STARTS}"),
    "self.true": (6, "Syntax error: mismatched input 'true' expecting IDENTIFIER"),
}


def environment() -> cel.Environment:
    declared = cel.declare(SCHEMA, "selfType")
    assert declared is not None
    return cel.Environment({"self": declared})


@pytest.mark.parametrize(("expression", "place", "message"), [(key, *value) for key, value in WRONG.items()], ids=WRONG)
def test_problem_is_told_with_its_place(expression: str, place: int, message: str) -> None:
    with pytest.raises(cel.CompileError) as error:
        cel.compile(expression, environment())
    first, second, third, *_ = str(error.value).splitlines()
    assert first == f"ERROR: <input>:1:{place}: {message}"
    assert (second, third) == (f" | {expression}", f" | {'.' * (place - 1)}^")


def test_all_problems_are_told_in_the_order_of_their_places() -> None:
    with pytest.raises(cel.CompileError) as error:
        cel.compile("self.a == self.b &&\n  self.c", environment())
    assert [line for line in str(error.value).splitlines() if line.startswith("ERROR")] == [
        "ERROR: <input>:1:5: undefined field 'a'", "ERROR: <input>:1:15: undefined field 'b'",
        "ERROR: <input>:2:7: undefined field 'c'"]


def test_wide_letters_before_the_place_get_wide_dots() -> None:
    with pytest.raises(cel.CompileError) as error:
        cel.compile("'\U0001f451' + 1", environment())
    assert str(error.value).splitlines()[2] == " | .\uff0e..^"


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(cel.CompileError, match="ERROR: <input>:-1:0: expression recursion limit exceeded: 250"):
        cel.compile("(" * 2000 + "1" + ")" * 2000, environment())


def test_properties_are_reached_by_their_escaped_names() -> None:
    program = cel.compile("self.__namespace__ == 'n' && self.namespace == 'n' && "
                          "self.a__dash__b__slash__c__dot__d == 'x'", environment())
    assert program({"self": {"namespace": "n", "a-b/c.d": "x"}}) is True


def test_constant_that_means_nothing_fails_the_program_not_the_compilation() -> None:
    with pytest.raises(cel.CompileError, match="type conversion error from 'string' to 'int'") as error:
        cel.compile("int('x') == 1", environment())
    assert error.value.stage == "program instantiation"


def test_newer_functions_are_unknown_to_older_versions() -> None:
    old = cel.Environment({}, version=27)
    with pytest.raises(cel.CompileError, match="undeclared reference to 'quantity'"):
        cel.compile("quantity('1') == quantity('1')", old)
    with pytest.raises(cel.CompileError, match="unsupported syntax"):
        cel.compile("{'a': 1}.?a == 1", old)
