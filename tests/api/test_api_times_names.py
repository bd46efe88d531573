"""Moments on the wire, and the forms of names."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.api import names, times

MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1))


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_any_offset_names_the_same_moment(moment, minutes):
    zone = timezone(timedelta(minutes=minutes))
    text = moment.replace(tzinfo=UTC).astimezone(zone).isoformat()
    expected = (moment.replace(tzinfo=UTC) - times.EPOCH) / timedelta(seconds=1)
    assert times.parse(text) == pytest.approx(expected, abs=2e-5)


@given(st.integers(0, 4_000_000_000))
def test_whole_seconds_survive_a_round_trip(seconds):
    assert times.parse(times.rfc3339(seconds)) == seconds
    assert times.rfc3339(seconds + 0.999) == times.rfc3339(seconds)


@given(st.integers(0, 4_000_000_000_000_000))
def test_microseconds_survive_a_round_trip(microseconds):
    text = times.micro(microseconds / 1e6)
    assert len(text) == len("2026-01-02T03:04:05.678901Z")
    assert times.parse(text) == pytest.approx(microseconds / 1e6, abs=1e-6)


@pytest.mark.parametrize(("text", "message"), [
    ("x", 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'),
    ("2026-01-02", 'parsing time "2026-01-02" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T"'),
    ("2026-13-02T03:04:05Z", 'parsing time "2026-13-02T03:04:05Z": month out of range'),
    ("2026-02-30T03:04:05Z", 'parsing time "2026-02-30T03:04:05Z": day out of range'),
    ("2026-02-03T03:04:05Zx", 'parsing time "2026-02-03T03:04:05Zx": extra text: "x"'),
])
def test_what_is_no_moment_is_refused_in_the_words_of_go(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        times.parse(text)


@pytest.mark.parametrize(("check", "good", "bad"), [
    (names.dns_label, ["a", "a-b", "1a", "x" * 63], ["", "A", "-a", "a-", "a_b", "x" * 64, "a\n", "é"]),
    (names.dns_subdomain, ["a", "a.b-c.d", "x." * 126 + "x"],
     ["", ".", "a..b", "A.b", "a.b.", "x" * 254, "a/b", "a%b"]),
    (names.dns1035, ["a", "a-1"], ["1a", "", "a.b", "A"]),
    (names.wildcard_dns_subdomain, ["*.a.b"], ["*", "a.b", "*.*.b", "f*.b"]),
    (names.qualified_name, ["a", "A_b.c", "example.com/a"], ["", "/a", "a/", "a/b/c", "Ex.com/a", "-a", "x" * 64]),
    (names.label_value, ["", "A", "a_b.c-d"], ["-a", "a b", "x" * 64, "a/b", "a\n"]),
    (names.c_identifier, ["a", "_1"], ["1", "a-b", ""]),
    (names.env_name, ["a b", "1", "a.b-c"], ["", "a=b", "a\tb", "é"]),
    (names.config_key, ["a", ".a", "a.b_c-d", "A"], ["", ".", "..", "..a", "a/b", "x" * 254]),
    (names.path_segment, ["a", "system:node", "A b"], [".", "..", "a/b", "a%2fb"]),
    (names.port_name, ["http", "a-1", "8a"], ["", "80", "a--b", "-a", "a-", "A", "x" * 16]),
    (names.http_header, ["X-A"], ["", "a b", "a:b"]),
    (names.percent, ["1%", "100%"], ["1", "%", "1.5%", "-1%"]),
    (names.ip, ["10.0.0.1", "::1", "2001:db8::ffff"],
     ["", "1.2.3", "010.0.0.1", "1.2.3.4.5", "fe80::1%eth0", "10.0.0.1/8"]),
    (names.cidr, ["10.0.0.0/8", "10.9.8.7/24", "fd00::/64", "0.0.0.0/0"],
     ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/08", "x/8", "10.0.0.0/255.0.0.0", "fd00::/129", "10.0.0.0/-1"]),
])
def test_forms_of_names(check, good, bad):
    assert [value for value in good if check(value)] == []
    assert [value for value in bad if not check(value)] == []


def test_sentences_are_those_of_kubernetes():
    assert [*names.dns_label("Web")] == [
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"]
    assert [*names.dns_label("a.b")] == ["must not contain dots"]
    assert [*names.dns_label("x" * 64)] == ["must be no more than 63 bytes"]
    assert [*names.path_segment("..")] == ["may not be '..'"]
    assert [*names.path_segment("a/b%")] == ["may not contain '/'", "may not contain '%'"]
    assert names.qualified_name("Ex/a")[0].startswith("prefix part a lowercase RFC 1123 subdomain")
    assert [*names.port_number(0)] == ["must be between 1 and 65535, inclusive"]
