"""Durations as Go writes them."""

from __future__ import annotations

import pytest

from timonier.api.durations import parse


@pytest.mark.parametrize(("text", "seconds"), [
    ("0", 0.0), ("5s", 5.0), ("1h15m30.918s", 4530.918), ("500ms", 0.5), ("1.5h", 5400.0), ("-2m", -120.0),
    ("3us", 3e-6), ("3µs", 3e-6), ("7ns", 7e-9), (".5s", 0.5)])
def test_a_duration_is_so_many_seconds(text: str, seconds: float) -> None:
    assert parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1m5", "1 s", "soon", "--1s", "1d"])
def test_what_is_none_is_refused_in_gos_words(text: str) -> None:
    with pytest.raises(ValueError, match="time: invalid duration"):
        parse(text)
