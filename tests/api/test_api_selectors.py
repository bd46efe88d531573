"""Selectors against brute evaluation, and against Kubernetes's sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.api.selectors import EVERYTHING, NOTHING, BadSelector, Fields, Labels, conjunction
from timonier.api.types import meta_v1

KEYS = st.sampled_from(["app", "tier", "example.com/zone", "in"])
VALUES = st.sampled_from(["", "a", "b", "web-1", "5", "10", "notin"])
LABELS = st.dictionaries(KEYS, VALUES, max_size=4)
OPERATORS = ("=", "==", "!=", "in", "notin", "exists", "!", ">", "<")


def holds(key: str, operator: str, values: list[str], labels: dict[str, str]) -> bool:
    """What the documentation says of each operator, word by word."""
    if operator in (">", "<"):
        if key not in labels or not labels[key].isdecimal():
            return False
        return int(labels[key]) > int(values[0]) if operator == ">" else int(labels[key]) < int(values[0])
    return {"=": lambda: key in labels and labels[key] == values[0],
            "==": lambda: key in labels and labels[key] == values[0],
            "!=": lambda: key not in labels or labels[key] != values[0],
            "in": lambda: key in labels and labels[key] in values,
            "notin": lambda: key not in labels or labels[key] not in values,
            "exists": lambda: key in labels, "!": lambda: key not in labels}[operator]()


@st.composite
def requirements(draw: st.DrawFn) -> tuple[str, str, list[str]]:
    operator = draw(st.sampled_from(OPERATORS))
    if operator in (">", "<"):
        return draw(KEYS), operator, [str(draw(st.integers(0, 12)))]
    return draw(KEYS), operator, draw(st.lists(VALUES, min_size=1, max_size=3))


def written(key: str, operator: str, values: list[str]) -> str:
    if operator in ("exists", "!"):
        return key if operator == "exists" else f"!{key}"
    if operator in ("in", "notin"):
        return f"{key} {operator} ({', '.join(values)})"
    return f"{key}{operator}{values[0]}"


@given(st.lists(requirements(), max_size=4), LABELS)
def test_a_selector_matches_when_every_requirement_holds(wanted, labels):
    selector = Labels.parse(",".join(written(*each) for each in wanted))
    assert selector.matches(labels) is all(holds(*each, labels) for each in wanted)


@given(st.lists(requirements(), max_size=4), LABELS)
def test_a_selector_written_out_and_read_again_is_the_same(wanted, labels):
    selector = Labels.parse(",".join(written(*each) for each in wanted))
    again = Labels.parse(str(selector))
    assert again.matches(labels) is selector.matches(labels)
    assert str(again) == str(selector)


@pytest.mark.parametrize(("text", "message"), [
    ("=a", "found '=', expected: !, identifier, or 'end of string'"),
    ("a,", "found '', expected: identifier after ','"),
    ("a=b=c", "found '=', expected: ',' or 'end of string'"),
    ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
    ("a in b", "unable to parse requirement: found 'b' expected: '('"),
    ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
    ("!", "unable to parse requirement: found '', expected: identifier"),
    ("a>x", "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be "
            "an integer"),
])
def test_a_selector_that_cannot_be_read_is_refused_in_the_words_of_kubernetes(text, message):
    with pytest.raises(BadSelector) as caught:
        Labels.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["a_/b=c", "a=b c", "a=ä", "x" * 64, "a=" + "y" * 64, "a/b/c"])
def test_keys_and_values_must_be_well_formed(text):
    with pytest.raises(BadSelector):
        Labels.parse(text)


@given(st.text(alphabet="ab=!(),<>innotin \t", max_size=16))
def test_no_text_gives_anything_but_a_selector_or_a_refusal(text):
    try:
        selector = Labels.parse(text)
    except BadSelector:
        return
    assert str(Labels.parse(str(selector))) == str(selector)


def test_selector_objects_may_be_dicts_or_structs():
    given_dict = {"matchLabels": {"app": "web"},
                  "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["db"]}]}
    struct = meta_v1.LabelSelector(matchLabels={"app": "web"}, matchExpressions=[
        meta_v1.LabelSelectorRequirement(key="tier", operator="NotIn", values=["db"])])
    for selector in (Labels.of(given_dict), Labels.of(struct)):
        assert str(selector) == "app in (web),tier notin (db)"
        assert selector.matches({"app": "web"})
        assert not selector.matches({"app": "web", "tier": "db"})


def test_no_selector_selects_nothing_and_an_empty_one_everything():
    assert Labels.of(None) == NOTHING
    assert Labels.of({}) == EVERYTHING
    assert not NOTHING.matches({"a": "b"})
    assert EVERYTHING.matches(None)
    assert EVERYTHING.empty
    assert not NOTHING.empty


def test_a_service_without_selector_selects_nothing():
    assert Labels.exactly({}) == NOTHING
    assert Labels.exactly({"a": "b"}).matches({"a": "b", "c": "d"})


def test_an_unknown_operator_is_refused():
    with pytest.raises(BadSelector, match='"Near" is not a valid label selector operator'):
        Labels.of({"matchExpressions": [{"key": "a", "operator": "Near"}]})


def test_a_conjunction_holds_where_all_of_its_parts_do():
    both = conjunction([Labels.parse("a=b"), Labels.parse("!c")])
    assert both.matches({"a": "b"})
    assert not both.matches({"a": "b", "c": ""})
    assert conjunction([EVERYTHING, NOTHING]) == NOTHING


def test_field_selectors_compare_for_equality():
    selector = Fields.parse("status.phase!=Running,spec.nodeName==n1")
    fields = {"spec.nodeName": "n1", "status.phase": "Pending"}
    assert selector.matches(lambda name: fields.get(name, ""))
    assert not selector.matches({"spec.nodeName": "n2"}.get)
    assert selector.required("spec.nodeName") == "n1"
    assert selector.required("status.phase") is None
    assert str(selector) == "spec.nodeName=n1,status.phase!=Running"


@given(st.text(alphabet="ab,=\\", max_size=8))
def test_any_value_can_be_escaped(value):
    escaped = "".join(f"\\{letter}" if letter in ",=\\" else letter for letter in value)
    selector = Fields.parse(f"name={escaped}")
    assert selector.terms[0].value == value
    assert Fields.parse(str(selector)) == selector


@pytest.mark.parametrize(("text", "message"), [
    ("a", "invalid selector: 'a'; can't understand 'a'"),
    ("a=b=c", "invalid field selector: unescaped character in value: ="),
    ("a=b\\x", "invalid escape sequence: \\x"),
])
def test_a_field_selector_that_cannot_be_read_is_refused(text, message):
    with pytest.raises(BadSelector) as caught:
        Fields.parse(text)
    assert str(caught.value) == message
