"""YAML as Go's library reads it: the values were taken from sigs.k8s.io/yaml."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.apiserver import yamls

TEXTS = st.text(max_size=6) | st.text("0123456789+-._eExXobnNyYaflt~:=<", max_size=5)
VALUES = st.recursive(st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | TEXTS,
                      lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXTS, children, max_size=3))


@pytest.mark.parametrize(("text", "value"), [
    ("=", "="), ("<<", "<<"), ("1:30", "1:30"), ("190:20:30", "190:20:30"), ("1.2.3", "1.2.3"), ("100m", "100m"),
    ("2001-01-01", "2001-01-01"), ("1e", "1e"), ("0b12", "0b12"), ("0xZ", "0xZ"), ("._", "._"), ("1e400", "1e400"),
    ("0o17", 15), ("017", 15), ("08", 8), ("-08", -8), ("1_000", 1000), ("0x1F", 31), ("0X1f", 31), ("0b11", 3),
    ("1e3", 1000), ("-1.5E-3", -0.0015), ("1.", 1), (".5", 0.5), ("+5", 5), ("18446744073709551615", (1 << 64) - 1),
    ("y", True), ("Yes", True), ("on", True), ("N", False), ("OFF", False), ("tRue", "tRue"),
    ("~", None), ("", None), ("NULL", None), ("nULL", "nULL"),
    ("!!str 5", "5"), ("!!binary aGVsbG8=", "hello"), ("'1'", "1")])
def test_scalars(text: str, value: object) -> None:
    found = yamls.load(f"a: {text}".encode())
    assert orjson.dumps(found) == orjson.dumps({"a": value})


@pytest.mark.parametrize(("text", "key"), [("y", "true"), ("1", "1"), ("1.5", "1.5"), ("0x1F", "31")])
def test_keys_are_text(text: str, key: str) -> None:
    assert yamls.load(f"{text}: 1".encode()) == {key: 1}


@pytest.mark.parametrize(("text", "named"), [(".inf", "+Inf"), ("-.INF", "-Inf"), (".nan", "NaN")])
def test_what_json_has_not_is_refused(text: str, named: str) -> None:
    with pytest.raises(yamls.BadYaml, match=f"json: unsupported value: [{named}]"):
        yamls.load(f"a: {text}".encode())


@given(VALUES)
def test_what_is_written_is_read_again(value: object) -> None:
    assert yamls.load(yamls.dump(value)) == value


@given(TEXTS)
def test_what_another_reader_takes_for_something_else_is_quoted(text: str) -> None:
    import yaml

    assert yaml.safe_load(yamls.dump([text])) == [text]
