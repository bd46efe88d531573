"""Our merging beside everything that structured-merge-diff's own tests and test data say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support import merge_cases as smd
from support.go_tables import Literal

from timonier.api.managed import conform, fields
from timonier.api.managed.compare import alike, compare
from timonier.api.managed.mention import mentioned
from timonier.api.managed.merge import merge
from timonier.api.managed.reconcile import settled
from timonier.api.managed.remove import remove
from timonier.api.managed.types import DEDUCED

FIXTURES = {
    "deduced": 13, "default_keys": 8, "duplicates": 15, "field_level_overrides": 4, "ignore": 11, "key": 1, "leaf": 12,
    "multiple_appliers": 205, "nested": 15, "preserve_unknown": 1, "schema_change": 8, "set": 10,
}
"""Files of fixtures in the library's folder `merge`, with how many at least are to be found there."""


@pytest.mark.parametrize("file", FIXTURES)
def test_operations_end_as_in_the_fixtures(file: str) -> None:
    run = 0
    for case in smd.cases(f"merge/{file}_test.go"):
        if case.must_fail:
            with pytest.raises(smd.Refused):
                play(case)
        else:
            play(case)
        run += 1
    assert run >= FIXTURES[file]


def play(case: smd.Case) -> None:
    state = smd.State(case)
    for operation in case.literal.fields["Ops"].elements:
        state.do(operation)
    if text := case.literal.fields.get("Object"):
        version = smd.plain(case.literal.fields.get("APIVersion", ""))
        assert alike(state.live_in(version, {}), smd.load(text) or {}), case.name
    wanted, managers = smd.managed_of(case.literal), state.managers
    if wanted is not None:
        found = {manager.name: (managers[manager].fields, managers[manager].apiVersion) for manager in managers}
        assert found == wanted, case.name


def table(file: str, name: str, type_name: str = "") -> list[Any]:
    """The rows of a table in one of the library's tests."""
    found = next(value for key, value, _ in smd.source(file).assigned()
                 if key == name and isinstance(value, Literal) and (not type_name or value.type == type_name))
    return list(found.elements)


def test_merges_are_those_of_the_table() -> None:
    rows = 0
    for case in table("typed/merge_test.go", "mergeCases"):
        kind = smd.types_of(case.fields["schema"])[case.fields["rootTypeName"]]
        for triplet in case.fields["triplets"].elements:
            left, right, out = map(smd.load, triplet.elements)
            assert alike(merge(kind, left, right), out), (case.fields["name"], triplet.elements)
            rows += 1
    for triplet in table("typed/deduced_test.go", "triplets"):
        left, right, out = map(smd.load, triplet.elements)
        assert alike(merge(DEDUCED, left, right), out), triplet.elements
        rows += 1
    assert rows >= 70


def test_mentioned_fields_are_those_of_the_table() -> None:
    rows = 0
    for case in table("typed/toset_test.go", "fieldsetCases"):
        kind = smd.types_of(case.fields["schema"])[case.fields["rootTypeName"]]
        for pair in case.fields["pairs"].elements:
            assert mentioned(kind, smd.load(pair.elements[0])) == smd.set_of(pair.elements[1]), pair.elements
            rows += 1
    for pair in table("typed/deduced_test.go", "tests", "[]objSetPair"):
        assert mentioned(DEDUCED, smd.load(pair.elements[0])) == smd.set_of(pair.elements[1]), pair.elements
        rows += 1
    assert rows >= 50


def test_differences_are_those_of_the_table_both_ways() -> None:
    rows = 0
    for kind, quint in quints():
        told = quint.fields
        old, new = smd.load(told["lhs"]), smd.load(told["rhs"])
        added, modified, removed = (smd.set_of(told[name]) for name in ("added", "modified", "removed"))
        there, back = compare(kind, old, new), compare(kind, new, old)
        assert (there.changed, there.removed) == (fields.union(added, modified), removed), told
        assert (back.changed, back.removed) == (fields.union(removed, modified), added), told
        rows += 1
    assert rows >= 80


def quints() -> Any:
    for case in table("typed/symdiff_test.go", "symdiffCases"):
        kind = smd.types_of(case.fields["schema"])[case.fields["rootTypeName"]]
        for quint in case.fields["quints"].elements:
            yield kind, quint
    for quint in table("typed/deduced_test.go", "quints"):
        yield DEDUCED, quint


def test_what_is_left_after_removing_is_as_in_the_table() -> None:
    rows, here = 0, smd.source("typed/remove_test.go")
    for case in table("typed/remove_test.go", "removeCases"):
        kind = smd.types_of(smd.text_of(case.fields["schema"], here))[case.fields["rootTypeName"]]
        for row in case.fields["quadruplets"].elements:
            value, taken, rest, _ = row.elements
            if rest != "unparseable":
                assert alike(remove(kind, smd.load(value), smd.set_of(taken)), smd.load(rest)), row.elements
                rows += 1
    assert rows >= 45


def test_valid_and_invalid_objects_are_told_apart() -> None:
    rows = 0
    for case in table("typed/validate_test.go", "validationCases"):
        kind = smd.types_of(case.fields["schema"])[case.fields["rootTypeName"]]

        def objects(name: str, case: Literal = case) -> list[Any]:
            found = case.fields.get(name)
            return [] if found is None else [smd.load(text) for text in found.elements]

        for value in objects("validObjects"):
            assert conform.faults(kind, value) == []
        for value in objects("invalidObjects"):
            assert conform.faults(kind, value), value
        for value in objects("duplicatesObjects"):
            assert conform.faults(kind, value)
            assert conform.faults(kind, value, repeated=True) == []
        rows += sum(len(objects(name)) for name in ("validObjects", "invalidObjects", "duplicatesObjects"))
    assert rows >= 60


def test_sets_are_reconciled_with_a_changed_schema() -> None:
    rows = table("typed/reconcile_schema_test.go", "reconcileCases")
    here = smd.source("typed/reconcile_schema_test.go")
    for case in rows:
        told = case.fields
        kind = smd.types_of(smd.text_of(told["newSchema"], here))[told["rootTypeName"]]
        before, wanted = smd.set_of(told["oldFields"]), told.get("fixedFields")
        assert settled(kind, before) == (before if wanted is None else smd.set_of(wanted)), told["name"]
    assert len(rows) >= 7


@pytest.mark.parametrize(("name", "definition"), [
    pytest.param("pod", "io.k8s.api.core.v1.Pod", id="pod"),
    pytest.param("node", "io.k8s.api.core.v1.Node", id="node"),
    pytest.param("endpoints", "io.k8s.api.core.v1.Endpoints", id="endpoints"),
    pytest.param("prometheus-crd", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1beta1."
                                   "CustomResourceDefinition", id="crd"),
])
def test_the_fields_of_real_objects_are_the_published_ones(name: str, definition: str) -> None:
    kind = smd.published_types("k8s-schema.yaml")[definition]
    wanted = json.loads((smd.folder() / f"internal/testdata/{name}set.json").read_text())
    assert compare(kind, {}, smd.published(f"{name}.yaml")).changed == fields.read(wanted)


def test_sets_survive_being_read_and_become_canonical() -> None:
    for text in table("fieldpath/serialize_test.go", "examples"):
        assert fields.read(json.loads(text)) == json.loads(text)
    for row in table("fieldpath/serialize_test.go", "testCases"):
        loose, normal = (row.fields[name] for name in ("nonNormalizedString", "normalizedString"))
        assert fields.read(json.loads(loose)) == json.loads(normal)
