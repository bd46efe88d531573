"""Every overload of every function, on values of the types that it names: a value of its type, or a failure; never
more.
"""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timonier.api.cel.functions import Overload, functions
from timonier.api.cel.library import authorizer, formats, networks, quantities, semver, urls
from timonier.api.cel.types import Type
from timonier.api.cel.values import NONE, Duration, Failure, Optional, Timestamp, TypeValue, Uint, type_of

OWN = frozenset({"_[_]", "_[?_]", "or", "orValue", "_&&_", "_||_", "_?_:_"})
"""What the evaluator does itself."""
OVERLOADS = [overload for name, overloads in functions(37).items() if name not in OWN for overload in overloads]
whole = st.integers(-2**63, 2**63 - 1)
small = st.integers(-3, 12)
words = st.one_of(st.text(max_size=12), st.sampled_from([
    "", "10.0.0.1", "::1/64", "10.0.0.0/8", "1.2.3-rc.1", "100m", "2020-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "1h2m", "https://a.b:80/c?d=e#f", "+14:00", "Europe/Paris", "%s %d %.3f", "(", "a*", "1e400", "0x1p-2",
    "-9223372036854775808", "1" * 5000, "dns1123Label", "default", "YQ==", "%.99999f", "\ud800"]),
    st.text(string.printable, max_size=8))
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


def decide(question: authorizer.Question) -> authorizer.Decision:
    return authorizer.Decision(False, "because")


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(), "int": st.one_of(small, whole), "uint": st.integers(0, 2**64 - 1).map(Uint),
    "double": st.floats(), "string": words, "bytes": st.binary(max_size=8), "null_type": st.none(),
    "google.protobuf.Duration": whole.map(Duration),
    "google.protobuf.Timestamp": st.integers(-62135596800, 253402300799).map(lambda time: Timestamp(time * 10**9)),
    "type": st.just(TypeValue("int")), "dyn": st.one_of(small, words, st.none(), st.lists(small, max_size=3)),
    "kubernetes.Quantity": st.fractions(max_denominator=10**9).map(quantities.Quantity),
    "kubernetes.Semver": st.tuples(small, small, small).map(semver.Semver),
    "kubernetes.URL": st.just(urls.parse_url("https://a.b/c?d=e")),
    "kubernetes.NamedFormat": st.sampled_from([*formats.FORMATS.values()]),
    "net.IP": addresses.map(networks.Address),
    "net.CIDR": st.tuples(addresses, st.integers(0, 32)).map(lambda parts: networks.Network(*parts)),
    "kubernetes.authorization.Authorizer": st.just(authorizer.Authorizer(decide)),
    "kubernetes.authorization.PathCheck": st.just(authorizer.PathCheck(decide, authorizer.Question(path="/"))),
    "kubernetes.authorization.GroupCheck": st.just(authorizer.GroupCheck(decide, authorizer.Question())),
    "kubernetes.authorization.ResourceCheck": st.just(authorizer.ResourceCheck(decide, authorizer.Question())),
    "kubernetes.authorization.Decision": st.just(authorizer.Decision(True)),
}


def values(kind: Type) -> st.SearchStrategy[Any]:
    if kind.variable:
        return VALUES["int"]
    if kind.name == "list":
        return st.lists(values(kind.parameters[0]), max_size=4)
    if kind.name == "map":
        return st.dictionaries(values(kind.parameters[0]), values(kind.parameters[1]), max_size=3)
    if kind.name == "optional_type":
        return st.one_of(st.just(NONE), values(kind.parameters[0]).map(Optional))
    return VALUES[kind.name]


@pytest.mark.parametrize("overload", OVERLOADS, ids=lambda overload: overload.id)
@settings(max_examples=10)
@given(st.data())
def test_overload_gives_what_it_promises(overload: Overload, data: st.DataObject) -> None:
    arguments = data.draw(st.tuples(*map(values, overload.parameters)))
    try:
        result = overload.run(*arguments)
    except Failure:
        return
    assert overload.cost.actual(arguments, result) >= 0
    if not overload.result.variable and overload.result.name != "dyn":
        assert type_of(result).name == overload.result.name
