"""The formats of strings that a schema can ask for."""

from __future__ import annotations

import pytest

from timonier.api.structural.formats import check_of, known

GOOD = {
    "bsonobjectid": ["507f1f77bcf86cd799439011"],
    "uri": ["https://example.com/a?b=c", "/path", "urn:x:y"],
    "email": ["a@example.com", "Ann <ann@example.com>"],
    "hostname": ["example.com", "a", "host-1.example.com"],
    "ipv4": ["10.0.0.1", "010.0.0.1"],
    "ipv6": ["::1", "fd00::1"],
    "cidr": ["10.0.0.0/8", "fd00::/64"],
    "mac": ["00:00:5e:00:53:01", "02-00-5e-10-00-00-00-01", "0000.5e00.5301"],
    "uuid": ["A987FBC9-4BED-3078-CF07-9141BA07C9F3"],
    "uuid3": ["A987FBC9-4BED-3078-CF07-9141BA07C9F3"],
    "uuid4": ["57b73598-8764-4ad0-a76a-679bb6640eb1"],
    "uuid5": ["987fbc97-4bed-5078-af07-9141ba07c9f3"],
    "isbn": ["0321751043", "978-0321751041"],
    "creditcard": ["4012 8888 8888 1881"],
    "ssn": ["123-45-6789"],
    "hexcolor": ["#FFF", "a0b1c2"],
    "rgbcolor": ["rgb(255, 0, 9)"],
    "byte": ["aGVsbG8="],
    "password": [""],
    "date": ["2024-02-29"],
    "duration": ["1h30m", "22 ns", "3 weeks", "0"],
    "date-time": ["2014-12-15T19:30:20.000Z", "2014-12-15t19:30:20+02:00"],
    "k8s-short-name": ["a-1"],
    "k8s-long-name": ["a.b-c.d"],
}
BAD = {
    "bsonobjectid": ["x"], "uri": ["example.com", "a b"], "email": ["nobody"], "hostname": ["-a", "a..b", "a_b"],
    "ipv4": ["10.0.0", "::1"], "ipv6": ["10.0.0.1"], "cidr": ["10.0.0.0", "10.0.0.0/33"], "mac": ["00:00:5e:00:53"],
    "uuid": ["a987"], "uuid3": ["A987FBC9-4BED-4078-CF07-9141BA07C9F3"], "isbn": ["0321751044"], "ssn": ["00-000-0000"],
    "creditcard": ["4012 8888 8888 1882"], "hexcolor": ["#ff"], "rgbcolor": ["rgb(256,0,0)"], "byte": ["", "a"],
    "date": ["2023-02-29", "20230228"], "duration": ["soon", ""], "date-time": ["2014-12-15", "2014-12-15T24:30:20Z"],
    "k8s-short-name": ["A", "-a"], "k8s-long-name": ["a..b"],
}


@pytest.mark.parametrize(("name", "text"), [pytest.param(name, text, id=f"{name}-{text}")
                                            for name, texts in GOOD.items() for text in texts])
def test_good(name, text):
    check = check_of(name)
    assert check is not None
    assert check(text)


@pytest.mark.parametrize(("name", "text"), [pytest.param(name, text, id=f"{name}-{text}")
                                            for name, texts in BAD.items() for text in texts])
def test_bad(name, text):
    check = check_of(name)
    assert check is not None
    assert not check(text)


def test_only_some_formats_say_something():
    assert known("string", "date-time")
    assert not known("string", "int32")
    assert known("integer", "int32")
    assert not known("boolean", "date")
