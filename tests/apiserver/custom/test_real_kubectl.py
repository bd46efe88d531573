"""Custom kinds as unmodified kubectl sees them, against real processes over TLS."""

from __future__ import annotations

import json

import pytest
import yaml
from support.control_plane import ControlPlane, control_plane
from support.definitions import definition, version
from support.kubectl import NEWEST, OLDEST

SCHEMA = {"type": "object", "description": "A thing.", "properties": {
    "spec": {"type": "object", "description": "What is wanted.", "required": ["size"], "properties": {
        "size": {"type": "integer", "minimum": 1, "description": "How large."},
        "colour": {"type": "string", "default": "red", "enum": ["red", "blue"]}}},
    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}
COLUMNS = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
           {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]
DEFINITION = definition(version(schema=SCHEMA, additionalPrinterColumns=COLUMNS, subresources={
    "status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}}),
    names={"shortNames": ["fo"], "categories": ["all"]})


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    with control_plane(tmp_path_factory.mktemp("plane"), manager=False) as made:
        made.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(DEFINITION))
        made.kubectl("wait", "--for=condition=Established", "crd/foos.example.com", "--timeout=10s")
        yield made


def manifest(name: str, **spec: object) -> str:
    return yaml.safe_dump({"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": name}, "spec": spec})


@pytest.mark.parametrize("version_of", [NEWEST, OLDEST])
def test_a_custom_kind_is_like_any_other(plane: ControlPlane, version_of: str) -> None:
    name = f"x-{version_of.replace('.', '-')}"
    assert plane.kubectl("apply", "-f", "-", stdin=manifest(name, size=2), version=version_of).out == \
        f"foo.example.com/{name} created\n"
    assert plane.kubectl("get", "fo", name, "-o", "jsonpath={.spec}", version=version_of).out == \
        '{"colour":"red","size":2}'
    head, row = plane.kubectl("get", "foos", name, version=version_of).out.splitlines()
    assert head.split() == ["NAME", "SIZE", "AGE"]
    assert row.split()[:2] == [name, "2"]
    assert name in plane.kubectl("get", "all", version=version_of).out
    again = plane.kubectl("apply", "-f", "-", stdin=manifest(name, size=3), version=version_of)
    assert again.out.endswith("configured\n")
    plane.kubectl("scale", "foo", name, "--replicas=7", version=version_of)
    plane.kubectl("patch", "foo", name, "--type=merge", "-p", '{"spec":{"colour":"blue"}}', version=version_of)
    plane.kubectl("label", "foo", name, "a=b", version=version_of)
    found = json.loads(plane.kubectl("get", "foo", "-l", "a=b", "-o", "json", version=version_of).out)["items"]
    assert [each["spec"] for each in found] == [{"size": 7, "colour": "blue"}]
    assert plane.kubectl("delete", "foo", name, version=version_of).out == f'foo.example.com "{name}" deleted' + (
        "\n" if version_of == OLDEST else " from default namespace\n")


def test_what_is_wrong_is_refused_before_and_behind_the_wire(plane: ControlPlane) -> None:
    unknown = plane.kubectl("create", "-f", "-", stdin=manifest("bad", size=1, weight=3), check=False)
    assert 'strict decoding error: unknown field "spec.weight"' in unknown.err
    wrong = plane.kubectl("create", "-f", "-", stdin=manifest("bad", size=0, colour="green"), check=False)
    assert wrong.err.startswith('The Foo "bad" is invalid: \n* spec.')
    assert "* spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1\n" in wrong.err
    assert '* spec.colour: Unsupported value: "green": supported values: "red", "blue"' in wrong.err
    absent = plane.kubectl("create", "-f", "-", stdin=manifest("bad"), check=False)
    assert absent.err == 'The Foo "bad" is invalid: spec.size: Required value\n'


def test_kinds_are_explained(plane: ControlPlane) -> None:
    explained = plane.kubectl("explain", "foos.spec").out
    assert "What is wanted." in explained
    assert "How large." in explained
    assert "-required-" in explained
    recursive = plane.kubectl("explain", "foos", "--recursive").out
    assert "colour" in recursive
    assert "metadata" in recursive


def test_resources_are_listed(plane: ControlPlane) -> None:
    row = next(line for line in plane.kubectl("api-resources", "--api-group=example.com").out.splitlines()
               if "foos" in line)
    assert row.split() == ["foos", "fo", "example.com/v1", "true", "Foo"]


def test_server_side_apply_shares_objects(plane: ControlPlane) -> None:
    plane.kubectl("apply", "--server-side", "--field-manager=one", "-f", "-", stdin=manifest("z", size=1))
    conflict = plane.kubectl("apply", "--server-side", "--field-manager=two", "-f", "-", stdin=manifest("z", size=2),
                             check=False)
    assert 'conflict with "one": .spec.size' in conflict.err
    diff = plane.kubectl("diff", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest("z", size=2),
        check=False)
    assert "+  size: 2" in diff.out


def test_a_definition_takes_its_objects_along(plane: ControlPlane) -> None:
    other = definition(plural="bars", kind="Bar")
    plane.kubectl("create", "-f", "-", stdin=yaml.safe_dump(other))
    plane.kubectl("wait", "--for=condition=Established", "crd/bars.example.com", "--timeout=10s")
    plane.kubectl("create", "-f", "-", stdin=yaml.safe_dump({"apiVersion": "example.com/v1", "kind": "Bar",
                                                              "metadata": {"name": "b"}}))
    assert plane.kubectl("delete", "crd", "bars.example.com").out == \
        'customresourcedefinition.apiextensions.k8s.io "bars.example.com" deleted\n'
    assert "NotFound" in plane.kubectl("get", "bars", check=False).err
    assert "bars" not in plane.kubectl("api-resources", "--cached=false").out
