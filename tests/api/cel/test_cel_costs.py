"""What expressions cost, as they run and at worst. The figures are Kubernetes's, since they decide what is let in."""

from __future__ import annotations

from typing import Any

import pytest

from timonier.api import cel

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
PAIR = {"type": "object", "properties": {"k": TEXT, "v": TEXT, "v2": TEXT}}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {
    "text": TEXT, "short": {"type": "string", "maxLength": 10}, "number": NUMBER,
    "choice": {"type": "string", "enum": ["a", "bcd"]},
    "array": {"type": "array", "items": NUMBER}, "few": {"type": "array", "items": NUMBER, "maxItems": 5},
    "texts": {"type": "array", "items": {"type": "string", "maxLength": 10}, "maxItems": 5},
    "map": {"type": "object", "additionalProperties": NUMBER},
    "pairs": {"type": "array", "items": PAIR, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
    "set": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
    "when": {"type": "string", "format": "date-time"}, "nested": {"type": "object", "properties": {"deep": PAIR}}}}
SELF = {"text": "Rook takes 👑", "short": "abc", "number": 5, "choice": "a", "array": [1, 1, 2, 2, 3, 3, 4, 5],
        "map": {"b": 1, "d": 2}, "set": ["a", "b", "c"], "few": [1, 2, 3], "texts": ["a", "b"],
        "pairs": [{"k": "a1", "v": "b1"}, {"k": "a2", "v": "b2"}, {"k": "a3", "v": "b3", "v2": "z"}],
        "when": "2011-08-18T19:03:37Z", "nested": {"deep": {"k": "x"}}}

RUNS = {
    "self.number == 5": 3,
    "self.text == 'Rook takes 👑'": 4,
    "self.text.startsWith('Rook')": 3,
    "self.text.matches('^[^0-9]*$')": 8,
    "self.text.split(' ') == ['Rook', 'takes', '👑']": 6,
    "type(self.number) == int": 4,
    "has(self.text)": 1,
    "has(self.nested.deep.k)": 3,
    "self.choice in ['a', 'bcd']": 2,
    "2 in self.array": 10,
    "self.array.all(e, e > 0)": 43,
    "self.array.exists(e, e > 2)": 36,
    "self.array.exists_one(e, e > 4)": 22,
    "size(self.array.filter(e, e % 2 == 0)) == 3": 68,
    "self.array.map(e, e * 20).filter(e, e > 50).exists(e, e == 60)": 194,
    "self.map.all(k, self.map[k] > 0)": 17,
    "self.map.transformMap(k, v, v + 1).size() == 2": 15,
    "self.pairs.exists(m, has(m.v2) && m.v2 == 'z')": 21,
    "!self.pairs.all(m, m.v2 != 'z')": 20,
    "self.set + ['c', 'd'] == ['a', 'b', 'c', 'd']": 4,
    "sets.equivalent(self.set, ['a', 'b', 'c'])": 21,
    "self.when == timestamp('2011-08-18T19:03:37Z')": 3,
    "optional.of('a').optMap(v, v == 'a').hasValue()": 9,
    "self.number == 5 || self.array.all(e, e > 0)": 3,
    "self.number == 5 ? true : self.array.all(e, e > 0)": 3,
}


@pytest.mark.parametrize(("expression", "cost"), RUNS.items(), ids=RUNS)
def test_run_costs(expression: str, cost: int) -> None:
    declared = cel.declare(SCHEMA, "selfType")
    assert declared is not None
    meter = cel.Meter()
    assert cel.compile(expression, cel.Environment({"self": declared}))({"self": SELF}, meter) is True
    assert meter.spent == cost


WORST = {
    "self.number == 5": 2,
    "self.short == 'abc'": 3,
    "self.text == self.text": 314577,
    "self.text.contains('x')": 314575,
    "self.short.matches('^a+$')": 7,
    "self.few.all(e, e > 0)": 28,
    "self.texts.all(e, e == 'abc')": 28,
    "isQuantity(self.text)": 314575,
    "optional.of('a') != optional.none()": 1844674407370955266,
    "self.nested.deep.?k.orValue('v') == 'a'": 6,
}


def worst(expression: str) -> int:
    declared = cel.declare(SCHEMA, "selfType")
    assert declared is not None
    return cel.estimate(cel.compile(expression, cel.Environment({"self": declared})).tree, declared).most


@pytest.mark.parametrize(("expression", "cost"), WORST.items(), ids=WORST)
def test_worst_case_costs(expression: str, cost: int) -> None:
    assert worst(expression) == cost


def test_worst_case_follows_limits_of_the_schema() -> None:
    assert worst("self.few.all(e, e > 0)") < 100 < worst("self.array.all(e, e > 0)")
    assert worst("self.short.matches('^a+$')") < worst("self.text.matches('^a+$')")


@pytest.mark.parametrize("expression", RUNS)
def test_no_run_costs_more_than_the_estimate(expression: str) -> None:
    """But for one: to compare two numbers is taken to cost nothing, and costs 1, in Kubernetes too."""
    assert worst(expression) + 1 >= RUNS[expression]


def test_evaluation_ends_where_its_budget_does() -> None:
    declared = cel.declare(SCHEMA, "selfType")
    assert declared is not None
    program = cel.compile("self.array.all(x, self.array.all(y, self.array.all(z, x + y + z > 0)))",
                          cel.Environment({"self": declared}))
    with pytest.raises(cel.Exhausted, match="operation cancelled: actual cost limit exceeded"):
        program({"self": {"array": list(range(1, 300))}}, cel.Meter(10_000))
