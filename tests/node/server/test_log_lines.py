"""A container's log lines: which are shown, and how."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.api import times
from timonier.node.kubelet.logs.lines import Line, LogOptions, Selection, fixed, parse

LOG = (b"2026-01-02T03:04:05.1Z stdout F one\n"
       b"2026-01-02T03:04:06.25Z stderr F two\n"
       b"2026-01-02T03:04:07Z stdout P thr\n"
       b"2026-01-02T03:04:07.000000001Z stdout F ee\n"
       b"2026-01-02T03:04:08Z stdout F \n")


def shown(log: bytes = LOG, **options: object) -> bytes:
    return Selection(LogOptions(**options)).feed(log)  # type: ignore[arg-type]


def test_a_line_has_a_time_a_stream_a_tag_and_text_that_may_hold_spaces():
    assert parse(b"2026-01-02T03:04:05Z stdout F a  b ") == Line(b"2026-01-02T03:04:05Z", b"stdout", True, b"a  b ")


@pytest.mark.parametrize(("options", "expected"), [
    pytest.param({}, b"one\ntwo\nthree\n\n", id="parts-are-joined"),
    pytest.param({"stream": "Stdout"}, b"one\nthree\n\n", id="stdout-alone"),
    pytest.param({"stream": "Stderr"}, b"two\n", id="stderr-alone"),
    pytest.param({"since": times.parse("2026-01-02T03:04:06.25Z")}, b"two\nthree\n\n", id="since-a-moment-inclusive"),
    pytest.param({"since": times.parse("2026-01-02T04:04:07+01:00")}, b"three\n\n", id="since-in-another-zone"),
    pytest.param({"since": times.parse("2027-01-01T00:00:00Z")}, b"", id="since-the-future"),
    pytest.param({"limit": 6}, b"one\ntw", id="limited-to-the-byte"),
    pytest.param({"timestamps": True, "stream": "Stdout"},
                 b"2026-01-02T03:04:05.100000000Z one\n2026-01-02T03:04:07.000000000Z three\n"
                 b"2026-01-02T03:04:08.000000000Z \n", id="one-timestamp-a-line"),
])
def test_options_select(options, expected):
    assert shown(**options) == expected


@given(st.lists(st.integers(1, len(LOG)), max_size=10), st.sampled_from([{}, {"timestamps": True}, {"limit": 9},
                                                                         {"stream": "Stdout"}]))
def test_bytes_may_come_in_any_pieces(cuts, options):
    selection, edges = Selection(LogOptions(**options)), [0, *sorted(cuts), len(LOG)]
    pieces = [LOG[start:end] for start, end in itertools.pairwise(edges)]
    assert b"".join(selection.feed(piece) for piece in pieces) == shown(**options)


def test_the_limit_is_counted_over_all_pieces():
    selection = Selection(LogOptions(limit=5))
    assert [selection.feed(line + b"\n") for line in LOG.splitlines()[:3]] == [b"one\n", b"t", b""]
    assert selection.over


def test_lines_that_are_no_log_lines_are_passed_over():
    assert shown(b"garbage\n\xff\xfe\n2026-01-02T03:04:05Z stdout F ok\n2026 stdout\n") == b"ok\n"


def test_half_a_line_of_a_file_that_was_left_is_not_glued_to_the_next_file():
    selection = Selection(LogOptions())
    selection.feed(b"2026-01-02T03:04:05Z stdout F never fin")
    selection.restart()
    assert selection.feed(b"2026-01-02T03:04:06Z stdout F new\n") == b"new\n"


@given(st.binary(max_size=300))
def test_noise_gives_no_traceback(noise):
    shown(noise, timestamps=True, since=1.0)
    shown(b"2026-01-02T03:04:05Z stdout F " + noise + b"\n", timestamps=True)


@pytest.mark.parametrize(("time", "expected"), [
    (b"2026-01-02T03:04:05Z", b"2026-01-02T03:04:05.000000000Z"),
    (b"2026-01-02T03:04:05.1+02:00", b"2026-01-02T03:04:05.100000000+02:00"),
    (b"2026-01-02T03:04:05.123456789123Z", b"2026-01-02T03:04:05.123456789Z"),
])
def test_shown_times_have_nine_decimals(time, expected):
    assert fixed(time) == expected
