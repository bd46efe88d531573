"""The order of versions."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from timonier.api.versions import compare, newest_first, older

DOCUMENTED = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"]
"""The example of the Kubernetes documentation."""
VERSIONS = st.from_regex(r"v[1-9][0-9]?((alpha|beta)[1-9][0-9]?)?|[a-z]{1,3}[1-9]?", fullmatch=True)


@given(st.permutations(DOCUMENTED))
def test_versions_come_in_the_documented_order(versions: list[str]) -> None:
    assert newest_first(versions) == DOCUMENTED


@given(st.lists(VERSIONS, unique=True))
def test_there_is_one_order(versions: list[str]) -> None:
    ordered = newest_first(versions)
    assert newest_first(reversed(versions)) == ordered
    for one, other in pairwise(ordered):
        assert compare(one, other) > 0
        assert older(other, one)
