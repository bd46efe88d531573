"""The table of protobuf messages says what kubectl itself has, and has a message for all that the schema has."""

import pytest
from support import go_types

from timonier.api.kinds import KINDS
from timonier.api.protobuf import NotInProtobuf
from timonier.api.protobuf.envelope import message_of
from timonier.api.protobuf.fields import fields, known, lines
from timonier.api.schema import definitions

WITHOUT_A_LIST = ("Binding", "SelfSubjectReview", "TokenReview", "LocalSubjectAccessReview", "SelfSubjectAccessReview",
                  "SelfSubjectRulesReview", "SubjectAccessReview")


@pytest.fixture(scope="module")
def kubectl():
    return go_types.load(go_types.kubectl())


def test_kubectl_has_the_same_fields(kubectl):
    compared = [name for name in lines() if name in kubectl]
    assert len(compared) > 600
    for name in compared:
        ours = {field.number: field for field in fields(name)}
        theirs = {number: field for number, field in kubectl[name].items()
                  if field.name or field.embedded}
        for number, field in theirs.items():
            row = ours[number]
            assert row.name == field.name, name
            if not row.name:
                assert row.type == field.embedded, name
            elif row.shape not in ("[]", "{}"):
                assert (row.shape == "*") == field.pointer, (name, row)


def test_the_schema_names_no_field_that_has_no_number():
    for name, node in definitions().items():
        if not known(name) or "properties" not in node:
            continue
        assert set(node["properties"]) - {"kind", "apiVersion"} <= names(name), name


def names(message):
    return {name for field in fields(message) for name in ([field.name] if field.name else names(field.type))}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_every_kind_has_a_message_and_so_has_its_list(kind):
    assert message_of(kind.apiVersion, kind.kind) == kind.definition
    if kind.kind in WITHOUT_A_LIST:
        with pytest.raises(NotInProtobuf):
            message_of(kind.apiVersion, kind.list_kind)
    else:
        assert [field.number for field in fields(message_of(kind.apiVersion, kind.list_kind))] == [1, 2]


def test_a_version_that_is_no_longer_served_has_its_own_messages():
    assert message_of("extensions/v1beta1", "Deployment") == "io.k8s.api.extensions.v1beta1.Deployment"
    assert message_of("policy/v1beta1", "Eviction") == "io.k8s.api.policy.v1beta1.Eviction"


def test_metadata_is_field_one_and_resource_version_field_six_of_it():
    for kind in KINDS:
        row = next((field for field in fields(kind.definition) if field.name == "metadata"), None)
        assert row is None or row.number == 1
    meta = fields("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    assert next(field.number for field in meta if field.name == "resourceVersion") == 6
