"""Quantities against plain fraction arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.api import quantity

POWERS = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1),
          "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12),
          "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30), "Ti": Fraction(2**40),
          "e3": Fraction(1000), "E-2": Fraction(1, 100)}


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, Fraction]:
    """A quantity, and what it is worth by definition."""
    digits, decimals = draw(st.integers(0, 10**6)), draw(st.integers(0, 999))
    places, sign = draw(st.integers(0, 3)), draw(st.sampled_from(["", "-", "+"]))
    suffix = draw(st.sampled_from(sorted(POWERS)))
    fraction = f".{decimals:03}"[: places + 1] if places else ""
    value = Fraction(f"{digits}{fraction}") * POWERS[suffix]
    return f"{sign}{digits}{fraction}{suffix}", -value if sign == "-" else value


def away(value: Fraction) -> int:
    return math.ceil(value) if value >= 0 else math.floor(value)


@given(texts())
def test_values_are_exact_to_a_billionth(case):
    text, value = case
    assert quantity.parse(text) == Fraction(away(value * 10**9), 10**9)
    assert quantity.milli(text) == away(quantity.parse(text) * 1000)
    assert quantity.whole(text) == away(quantity.parse(text))


@given(texts())
def test_the_canonical_form_is_the_same_value_and_stays(case):
    text, _ = case
    canonical = quantity.canonical(text)
    assert quantity.parse(canonical) == quantity.parse(text)
    assert quantity.canonical(canonical) == canonical


@given(texts())
def test_the_canonical_form_has_no_fraction_and_the_largest_suffix(case):
    canonical = quantity.canonical(case[0])
    assert "." not in canonical
    number, suffix = canonical.rstrip("numkKMGTPEi"), canonical.lstrip("-0123456789")
    if suffix in ("", "m", "k", "M", "G") and canonical != "0":
        assert int(number) % 1000 != 0
    if suffix in ("Ki", "Mi", "Gi"):
        assert int(number) % 1024 != 0


@given(texts(), texts())
def test_a_rendered_sum_is_the_sum(first, second):
    total = quantity.parse(first[0]) + quantity.parse(second[0])
    assert quantity.parse(quantity.render(total, like=first[0])) == total


@pytest.mark.parametrize(("text", "canonical"), [
    ("1000m", "1"), ("0.5", "500m"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("100Mi", "100Mi"), ("1e3", "1e3"),
    ("1000", "1k"), ("0", "0"), ("0Ki", "0"), ("1023Ki", "1023Ki"), ("0.5Ki", "512"), ("1.1Ki", "1126400m"),
    ("-1.5", "-1500m"), ("+1", "1"), (".5", "500m"), ("1.", "1"), ("1E", "1E"), ("100e-1", "10"),
    ("0.0000000001", "1n"), ("9999Ei", "9223372036854775807"),
])
def test_canonical_forms_are_those_of_kubernetes(text, canonical):
    assert quantity.canonical(text) == canonical


@pytest.mark.parametrize(("text", "message"), [
    ("", quantity.WRONG_FORM), ("x", quantity.WRONG_FORM), ("1 Gi", quantity.WRONG_FORM), ("1x", quantity.WRONG_FORM),
    ("1.2.3", quantity.WRONG_FORM), ("\u0661", quantity.WRONG_FORM), ("1Gi\n", quantity.WRONG_FORM),
    (".", quantity.WRONG_NUMBER), ("-", quantity.WRONG_NUMBER), ("9" * 5000, quantity.WRONG_NUMBER),
    ("1eE", quantity.WRONG_SUFFIX), ("1ki", quantity.WRONG_SUFFIX), ("1e99999999", quantity.WRONG_SUFFIX),
])
def test_what_is_no_quantity_is_refused_in_the_words_of_kubernetes(text, message):
    with pytest.raises(quantity.BadQuantity) as caught:
        quantity.parse(text)
    assert str(caught.value) == message


@given(st.text(alphabet="0123456789.+-eEinumkKMGTP ", max_size=12))
def test_no_text_gives_anything_but_a_value_or_a_refusal(text):
    try:
        quantity.canonical(text)
    except quantity.BadQuantity:
        return
    assert quantity.canonical(quantity.canonical(text)) == quantity.canonical(text)
