"""What the status of a definition says."""

from __future__ import annotations

import pytest
from support.definitions import definition, version

from timonier.apiserver.custom.conditions import defects, status_of

NOW = 1_700_000_000.0


def status(wanted, *others, now=NOW):
    return status_of(wanted, [wanted, *others], now, defects)


def told(found):
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in found["conditions"]}


def established(**rest):
    made = definition(**rest)
    return made | {"status": status(made)}


def test_names_that_nobody_has_are_accepted():
    found = status(definition(names={"shortNames": ["fo"], "categories": ["all"]}))
    assert found["acceptedNames"] == {"plural": "foos", "kind": "Foo", "shortNames": ["fo"], "categories": ["all"]}
    assert told(found) == {
        "NamesAccepted": ("True", "NoConflicts", "no conflicts found"),
        "Established": ("True", "InitialNamesAccepted", "the initial names have been accepted")}


@pytest.mark.parametrize(("names", "reason", "accepted"), [
    ({"plural": "bars", "kind": "Foo"}, "KindConflict", {"plural": "bars"}),
    ({"plural": "foos", "kind": "Bar"}, "PluralConflict", {"kind": "Bar"}),
    ({"plural": "bars", "singular": "foos", "kind": "Bar"}, "SingularConflict", {"plural": "bars", "kind": "Bar"}),
    ({"plural": "bars", "kind": "Bar", "shortNames": ["b", "fo"]}, "ShortNamesConflict",
     {"plural": "bars", "kind": "Bar"})])
def test_names_that_another_has_are_not(names, reason, accepted):
    first = established(names={"shortNames": ["fo"]})
    found = status(definition(names=names), first)
    assert found["acceptedNames"] == accepted
    assert told(found)["NamesAccepted"][:2] == ("False", reason)
    assert told(found)["Established"] == ("False", "NotAccepted", "not all names are accepted")


def test_who_is_established_stays_so_whatever_its_names_become():
    first, second = established(), established(plural="bars", kind="Bar")
    second["spec"]["names"]["kind"] = "Foo"
    found = status(second, first, now=NOW + 30)
    assert told(found)["NamesAccepted"] == ("False", "KindConflict", '"Foo" is already in use')
    assert told(found)["Established"][0] == "True"
    assert found["acceptedNames"]["kind"] == "Bar"
    times = {each["type"]: each["lastTransitionTime"][-4:] for each in found["conditions"]}
    assert times == {"NamesAccepted": ":50Z", "Established": ":20Z"}


def test_status_that_is_right_is_left_alone():
    made = established()
    assert status(made, now=NOW + 60) == made["status"]


@pytest.mark.parametrize(("annotation", "expected"), [
    (None, ("False", "MissingAnnotation")),
    ("https://github.com/kubernetes/kubernetes/pull/1", ("True", "ApprovedAnnotation")),
    ("unapproved, an experiment", ("False", "UnapprovedAnnotation")), ("because", ("False", "InvalidAnnotation"))])
def test_groups_of_the_community_want_approval(annotation, expected):
    made = definition(group="example.k8s.io")
    if annotation:
        made["metadata"]["annotations"] = {"api-approved.kubernetes.io": annotation}
    assert told(status(made))["KubernetesAPIApprovalPolicyConformant"][:2] == expected


@pytest.mark.parametrize(("root", "expected"), [
    ({"type": "object", "properties": {"spec": {}}},
     ("True", "Violations", "spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Required value: must not "
                            "be "
                            "empty for specified object fields")),
    ({"type": "object", "properties": {"spec": {"$ref": "x"}}},
     ("Unknown", "StructuralError", "failed to check validation schema for version v1: OpenAPIV3Schema '$ref' is not "
                                    "supported"))])
def test_what_was_stored_without_a_structural_schema_says_so(root, expected):
    made = definition(version())
    made["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = root
    made["metadata"]["generation"] = 1
    found = status(made)
    assert told(found)["NonStructuralSchema"] == expected
    repaired = definition() | {"status": found}
    repaired["metadata"]["generation"] = 2
    assert "NonStructuralSchema" not in told(status(repaired))
