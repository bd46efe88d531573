"""Custom kinds over HTTP: from the moment when they are defined until they are gone."""

from __future__ import annotations

from support.definitions import FOOS, PATH, condition, define, definition, foo, version

STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def fields(**properties):
    return {"type": "object", "properties": properties}


async def test_a_definition_is_established_and_its_kind_served(cluster):
    await define(cluster)
    found = (await cluster.get(f"{PATH}/foos.example.com")).json
    assert found["status"]["acceptedNames"] == {"plural": "foos", "singular": "foo", "kind": "Foo",
                                                "listKind": "FooList"}
    assert found["status"]["storedVersions"] == ["v1"]
    assert [(each["type"], each["status"], each["reason"]) for each in found["status"]["conditions"]] == [
        ("NamesAccepted", "True", "NoConflicts"), ("Established", "True", "InitialNamesAccepted")]
    created = await cluster.post(FOOS, foo(spec={"a": 1}))
    assert created.code == 201
    assert created.json["metadata"]["generation"] == 1
    assert (await cluster.get(f"{FOOS}/x")).json["spec"] == {"a": 1}
    listed = (await cluster.get(FOOS)).json
    assert (listed["kind"], listed["apiVersion"], len(listed["items"])) == ("FooList", "example.com/v1", 1)


async def test_what_is_not_defined_is_not_there(cluster):
    assert (await cluster.get(FOOS)).code == 404
    await define(cluster, definition(version(), version("v2", served=False)))
    assert (await cluster.get("/apis/example.com/v2/namespaces/default/foos")).code == 404
    assert (await cluster.get("/apis/example.com/v1/foos")).code == 200
    assert (await cluster.get("/apis/example.com/v1/foos/x")).code == 404


async def test_objects_are_pruned_defaulted_and_judged(cluster):
    await define(cluster, definition(version(schema=fields(size=INTEGER | {"minimum": 1}, colour=STRING | {
        "default": "red"}))))
    made = await cluster.post(FOOS, foo(spec={"size": 3, "weight": 5}))
    assert made.json["spec"] == {"size": 3, "colour": "red"}
    assert made.headers["warning"] == '299 - "unknown field \\"spec.weight\\""'
    strict = await cluster.post(f"{FOOS}?fieldValidation=Strict", foo("y", {"size": 3, "weight": 5}))
    assert strict.code == 400
    assert strict.message == ('Foo in version "v1" cannot be handled as a Foo: strict decoding error: unknown field '
                              '"spec.weight"')
    wrong = await cluster.post(FOOS, foo("z", {"size": 0}))
    assert wrong.code == 422
    assert wrong.message == ('Foo.example.com "z" is invalid: spec.size: Invalid value: 0: spec.size in body should be '
                             "greater than or equal to 1")
    assert wrong.json["details"]["causes"] == [{
        "reason": "FieldValueInvalid", "message": "Invalid value: 0: spec.size in body should be greater than or equal "
        "to 1", "field": "spec.size"}]


async def test_a_definition_that_changes_changes_what_is_read(cluster):
    await define(cluster, definition(version(schema=fields(size=INTEGER))))
    await cluster.post(FOOS, foo(spec={"size": 3}))
    changed = definition(version(schema=fields(colour=STRING | {"default": "red"})))
    read = (await cluster.get(f"{PATH}/foos.example.com")).json
    read["spec"]["versions"] = changed["spec"]["versions"]
    assert (await cluster.put(f"{PATH}/foos.example.com", read)).code == 200
    await cluster.settle()
    assert (await cluster.get(f"{FOOS}/x")).json["spec"] == {"colour": "red"}
    assert (await cluster.get(FOOS)).json["items"][0]["spec"] == {"colour": "red"}


async def test_updates_need_a_version_and_count_generations(cluster):
    await define(cluster, definition(version(subresources={"status": {}})))
    made = (await cluster.post(FOOS, foo(spec={"a": 1}, status={"ready": True}))).json
    assert "status" not in made
    unguarded = await cluster.put(f"{FOOS}/x", foo(spec={"a": 2}))
    assert unguarded.code == 422
    assert unguarded.message == ('Foo.example.com "x" is invalid: metadata.resourceVersion: Invalid value: 0x0: must '
                                 'be '
                                 "specified for an update")
    made["spec"]["a"], made["status"] = 2, {"ready": True}
    changed = (await cluster.put(f"{FOOS}/x", made)).json
    assert (changed["metadata"]["generation"], changed["spec"], changed.get("status")) == (2, {"a": 2}, None)
    changed["spec"]["a"], changed["status"] = 3, {"ready": True}
    changed["metadata"]["labels"] = {"a": "b"}
    told = (await cluster.put(f"{FOOS}/x/status", changed)).json
    assert (told["metadata"]["generation"], told["spec"], told["status"]) == (2, {"a": 2}, {"ready": True})
    assert "labels" not in told["metadata"]
    assert (await cluster.get(f"{FOOS}/x/scale")).code == 404


async def test_patches_are_json_and_merge_alone(cluster):
    await define(cluster)
    await cluster.post(FOOS, foo(spec={"a": 1}))
    assert (await cluster.patch(f"{FOOS}/x", {"spec": {"b": 2}})).json["spec"] == {"a": 1, "b": 2}
    removed = await cluster.patch(f"{FOOS}/x", [{"op": "remove", "path": "/spec/a"}], "json-patch")
    assert removed.json["spec"] == {"b": 2}
    assert (await cluster.patch(f"{FOOS}/x", {}, "strategic-merge-patch")).code == 415


async def test_names_belong_to_whoever_had_them_first(cluster):
    await define(cluster, definition(names={"shortNames": ["f"]}))
    await define(cluster, definition(plural="bars", kind="Foo", names={"shortNames": ["f"]}))
    refused = await condition(cluster, "bars.example.com", "NamesAccepted")
    assert (refused["status"], refused["reason"], refused["message"]) == (
        "False", "ListKindConflict", '"FooList" is already in use')
    assert (await condition(cluster, "bars.example.com", "Established"))["reason"] == "NotAccepted"
    assert (await cluster.get("/apis/example.com/v1/bars")).code == 404
    await cluster.delete(f"{PATH}/foos.example.com")
    await cluster.settle()
    await cluster.settle()
    assert (await condition(cluster, "bars.example.com", "Established"))["status"] == "True"
    assert (await cluster.get("/apis/example.com/v1/bars")).code == 200


async def test_a_definition_goes_after_its_objects(cluster):
    await define(cluster)
    await cluster.post(FOOS, foo() | {"metadata": {"name": "x", "finalizers": ["example.com/wait"]}})
    await cluster.post(FOOS, foo("y"))
    watch = await cluster.watch(f"{FOOS}?watch=true")
    assert (await cluster.delete(f"{PATH}/foos.example.com")).json["metadata"]["finalizers"] == [
        "customresourcecleanup.apiextensions.k8s.io"]
    await cluster.settle()
    await cluster.settle()
    assert [item["metadata"]["name"] for item in (await cluster.get(FOOS)).json["items"]] == ["x"]
    assert (await condition(cluster, "foos.example.com", "Terminating"))["reason"] == "InstanceDeletionInProgress"
    late = await cluster.post(FOOS, foo("z"))
    assert (late.code, late.message) == (403, 'foos.example.com "z" is forbidden: create not allowed while custom '
                                              'resource '
                                              "definition is terminating")
    await cluster.patch(f"{FOOS}/x", {"metadata": {"finalizers": []}})
    await cluster.settle()
    await cluster.settle()
    assert (await cluster.get(f"{PATH}/foos.example.com")).code == 404
    assert (await cluster.get(FOOS)).code == 404
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in watch.events()] == [
        ("ADDED", "x"), ("ADDED", "y"), ("MODIFIED", "x"), ("DELETED", "y"), ("DELETED", "x")]
    assert not watch.open, "a watch of what is no longer there ends"


async def test_versions_without_conversion_show_the_same_fields(cluster):
    await define(cluster, definition(version(), version("v2"), version("v1beta1", deprecated=True)))
    await cluster.post(FOOS, foo(spec={"a": 1}))
    v2 = "/apis/example.com/v2/namespaces/default/foos"
    assert (await cluster.get(f"{v2}/x")).json["apiVersion"] == "example.com/v2"
    watch = await cluster.watch(f"{v2}?watch=true")
    await cluster.post(v2, foo("y", {"b": 2}, "example.com/v2"))
    await cluster.settle()
    assert [event["object"]["apiVersion"] for event in watch.events()] == ["example.com/v2"] * 2
    assert [item["apiVersion"] for item in (await cluster.get(FOOS)).json["items"]] == ["example.com/v1"] * 2
    old = await cluster.get("/apis/example.com/v1beta1/namespaces/default/foos/x")
    assert old.headers["warning"] == '299 - "example.com/v1beta1 Foo is deprecated; use example.com/v2 Foo"'


async def test_a_new_storage_version_is_remembered_and_written(cluster):
    await define(cluster, definition(version(), version("v2")))
    await cluster.post(FOOS, foo(spec={"a": 1}))
    read = (await cluster.get(f"{PATH}/foos.example.com")).json
    for entry in read["spec"]["versions"]:
        entry["storage"] = entry["name"] == "v2"
    assert (await cluster.put(f"{PATH}/foos.example.com", read)).json["status"]["storedVersions"] == ["v1", "v2"]
    await cluster.settle()
    same = (await cluster.get(f"{FOOS}/x")).json
    stored = await cluster.store.get("/foos.example.com/default/x")
    assert b'"apiVersion":"example.com/v1"' in stored.value
    assert (await cluster.put(f"{FOOS}/x", same)).code == 200
    stored = await cluster.store.get("/foos.example.com/default/x")
    assert b'"apiVersion":"example.com/v2"' in stored.value


async def test_fields_that_are_selectable_select(cluster):
    schema = fields(colour=STRING, hot={"type": "boolean"})
    await define(cluster, definition(version(schema=schema, selectableFields=[
        {"jsonPath": ".spec.colour"}, {"jsonPath": ".spec.hot"}])))
    await cluster.post(FOOS, foo("x", {"colour": "red", "hot": True}))
    await cluster.post(FOOS, foo("y", {"colour": "blue"}))

    async def names(selector):
        found = (await cluster.get(f"{FOOS}?fieldSelector={selector}")).json
        return [item["metadata"]["name"] for item in found["items"]]
    assert await names("spec.colour=red") == ["x"]
    assert await names("spec.colour!=red") == ["y"]
    assert await names("spec.hot=true") == ["x"]
    refused = await cluster.get(f"{FOOS}?fieldSelector=spec.size=3")
    assert (refused.code, refused.message) == (400, "field label not supported: spec.size")


async def test_tables_have_the_columns_of_the_definition(cluster):
    columns = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
               {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
                "priority": 1, "description": "whether"},
               {"name": "Made", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]
    await define(cluster, definition(version(additionalPrinterColumns=columns)))
    await cluster.post(FOOS, foo(spec={"size": 3}, status={"conditions": [{"type": "Ready", "status": "True"}]}))
    await cluster.post(FOOS, foo("y", {"size": "many"}))
    table = (await cluster.get(FOOS, accept="application/json;as=Table;v=v1;g=meta.k8s.io")).json
    assert [(each["name"], each["type"], each["priority"]) for each in table["columnDefinitions"]] == [
        ("Name", "string", 0), ("Size", "integer", 0), ("Ready", "string", 1), ("Made", "date", 0)]
    assert [row["cells"] for row in table["rows"]] == [["x", 3, "True", "0s"], ["y", None, None, "0s"]]


PROTOBUF = "application/vnd.kubernetes.protobuf"


async def test_there_is_no_protobuf_of_custom_kinds(cluster):
    await define(cluster)
    assert (await cluster.get(FOOS, accept=PROTOBUF)).code == 406
    assert (await cluster.get(FOOS, accept=f"{PROTOBUF},application/json")).json["kind"] == "FooList"
    sent = await cluster.call("POST", FOOS, b"k8s\0abc", content_type=PROTOBUF)
    assert (sent.code, sent.message) == (
        415, "the body of the request was in an unknown format - accepted media types include: application/json, "
        "application/yaml")


async def test_objects_must_be_of_the_kind_and_version_of_the_path(cluster):
    await define(cluster)
    other = await cluster.post(FOOS, foo(apiVersion="example.com/v2"))
    assert (other.code, other.message) == (400, "the API version in the data (example.com/v2) does not match the "
                                                "expected API version (example.com/v1)")
    kind = await cluster.post(FOOS, foo() | {"kind": "Bar"})
    assert (kind.code, kind.message) == (422, 'Bar.example.com "x" is invalid: kind: Invalid value: "Bar": must be Foo')


async def test_paths_that_lead_nowhere(cluster):
    await define(cluster)
    await cluster.post(FOOS, foo())
    sub = await cluster.get(f"{FOOS}/x/frob")
    assert (sub.code, sub.message) == (404, 'foos.example.com "x" not found')
    assert (await cluster.delete("/apis/example.com/v1/foos")).content == b"404 page not found\n"
    assert (await cluster.get("/apis/example.com/v1/foos")).code == 200


SCALE = {"specReplicasPath": ".spec.size.wanted", "statusReplicasPath": ".status.size",
         "labelSelectorPath": ".status.selector"}


async def test_the_scale_of_an_object_is_where_its_definition_says(cluster):
    await define(cluster, definition(version(subresources={"scale": SCALE, "status": {}})))
    await cluster.post(FOOS, foo(spec={"size": {"wanted": 2}}))
    await cluster.patch(f"{FOOS}/x/status", {"status": {"size": 1, "selector": "app=foo"}})
    found = (await cluster.get(f"{FOOS}/x/scale")).json
    assert (found["kind"], found["spec"], found["status"]) == (
        "Scale", {"replicas": 2}, {"replicas": 1, "selector": "app=foo"})
    scaled = await cluster.patch(f"{FOOS}/x/scale", {"spec": {"replicas": 5}})
    assert scaled.json["spec"] == {"replicas": 5}
    read = (await cluster.get(f"{FOOS}/x")).json
    assert read["spec"] == {"size": {"wanted": 5}}
    assert read["metadata"]["generation"] == 2
    await cluster.post(FOOS, foo("y", {}))
    refused = await cluster.get(f"{FOOS}/y/scale")
    assert (refused.code, refused.message) == (500, 'Internal error occurred: the spec replicas field '
                                                    '".spec.size.wanted" does not exist')
    negative = await cluster.post(FOOS, foo("z", {"size": {"wanted": -1}}))
    assert negative.message == ('Foo.example.com "z" is invalid: .spec.size.wanted: Invalid value: -1: should be a '
                                "non-negative integer")


async def test_objects_are_applied_field_by_field(cluster):
    schema = fields(ports={"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                           "items": fields(name=STRING, number=INTEGER) | {"required": ["name"]}})
    await define(cluster, definition(version(schema=schema)))

    async def apply(manager, spec):
        return await cluster.call("PATCH", f"{FOOS}/x?fieldManager={manager}", foo(spec=spec),
                                  content_type="application/apply-patch+yaml")
    assert (await apply("one", {"ports": [{"name": "a", "number": 1}]})).code == 201
    assert (await apply("two", {"ports": [{"name": "b", "number": 2}]})).json["spec"]["ports"] == [
        {"name": "a", "number": 1}, {"name": "b", "number": 2}]
    conflict = await apply("two", {"ports": [{"name": "a", "number": 3}]})
    assert conflict.code == 409
    assert (await apply("one", {"ports": []})).json["spec"]["ports"] == [{"name": "b", "number": 2}]


async def test_writers_are_warned(cluster):
    made = await cluster.post(PATH, definition(version(schema=fields(a=STRING | {"format": "colour"}))))
    assert made.headers["warning"] == '299 - "unrecognized format \\"colour\\""'
    read = made.json
    read["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "another"
    await cluster.settle()
    read["metadata"].pop("resourceVersion")
    changed = await cluster.patch(f"{PATH}/foos.example.com", {"spec": read["spec"]})
    assert changed.code == 200
    assert "warning" not in changed.headers
    await cluster.settle()
    warned = await cluster.post(FOOS, foo() | {"metadata": {"name": "x", "finalizers": ["wait", "example.com/wait"]}})
    assert warned.headers["warning"] == (
        '299 - "metadata.finalizers: \\"wait\\": prefer a domain-qualified finalizer name to avoid accidental '
        'conflicts '
        'with other finalizer writers"')


async def test_definitions_without_schemas_are_refused(cluster):
    bare = definition({"name": "v1", "served": True, "storage": True})
    reply = await cluster.post(PATH, bare)
    assert (reply.code, reply.message) == (
        422, 'CustomResourceDefinition.apiextensions.k8s.io "foos.example.com" is invalid: '
             "spec.versions[0].schema.openAPIV3Schema: Required value")


async def test_rules_judge_objects_and_their_transitions(cluster):
    spec = fields(size=INTEGER) | {"x-kubernetes-validations": [
        {"rule": "self.size < 10", "message": "not so large"}, {"rule": "self.size >= oldSelf.size"}]}
    await define(cluster, definition(version(schema=spec)))
    wrong = await cluster.post(FOOS, foo(spec={"size": 12}))
    assert (wrong.code, wrong.message) == (422, 'Foo.example.com "x" is invalid: spec: Invalid value: not so large')
    await cluster.post(FOOS, foo(spec={"size": 5}))
    smaller = await cluster.patch(f"{FOOS}/x", {"spec": {"size": 4}})
    assert smaller.message == ('Foo.example.com "x" is invalid: spec: Invalid value: failed rule: self.size >= '
                               "oldSelf.size")
    assert (await cluster.patch(f"{FOOS}/x", {"spec": {"size": 6}})).code == 200


async def test_what_became_invalid_can_still_be_changed_elsewhere(cluster):
    await define(cluster, definition(version(schema=fields(size=INTEGER, colour=STRING))))
    await cluster.post(FOOS, foo(spec={"size": 1, "colour": "red"}))
    stricter = version(schema=fields(size=INTEGER | {"minimum": 5}, colour=STRING))
    await cluster.patch(f"{PATH}/foos.example.com", {"spec": {"versions": [stricter]}})
    await cluster.settle()
    assert (await cluster.patch(f"{FOOS}/x", {"spec": {"colour": "blue"}})).code == 200
    assert (await cluster.patch(f"{FOOS}/x", {"spec": {"size": 2}})).code == 422


async def test_collections_are_deleted(cluster):
    await define(cluster)
    for name in ("x", "y"):
        await cluster.post(FOOS, foo(name) | {"metadata": {"name": name, "labels": {"a": name}}})
    assert (await cluster.delete(f"{FOOS}?labelSelector=a=x")).code == 200
    await cluster.settle()
    assert [item["metadata"]["name"] for item in (await cluster.get(FOOS)).json["items"]] == ["y"]


async def test_names_are_generated(cluster):
    await define(cluster)
    made = await cluster.post(FOOS, foo() | {"metadata": {"generateName": "foo-"}})
    assert made.json["metadata"]["name"].startswith("foo-")


async def test_cluster_scoped_kinds_have_no_namespace(cluster):
    await define(cluster, definition(scope="Cluster"))
    path = "/apis/example.com/v1/foos"
    assert "namespace" not in (await cluster.post(path, foo())).json["metadata"]
    assert (await cluster.get(f"{path}/x")).code == 200
    assert (await cluster.get(f"{FOOS}/x")).code == 404


STRICT = b"""
apiVersion: example.com/v1
kind: Foo
metadata:
  name: x
  unknownMeta: unknown
spec:
  known: a
  known: b
  extra: 3
  template:
    apiVersion: foo/v1
    kind: Sub
    metadata: {name: sub, unknownSubMeta: unknown}
"""


async def test_unknown_and_repeated_fields_are_found_in_whatever_way_they_come(cluster):
    embedded = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    await define(cluster, definition(version(schema=fields(known=STRING, template=embedded))))
    posted = await cluster.call("POST", f"{FOOS}?fieldValidation=Strict", STRICT, content_type="application/yaml")
    assert posted.message.endswith(
        'line 9: key "known" already set in map, unknown field "metadata.unknownMeta", unknown field "spec.extra", '
        'unknown field "spec.template.metadata.unknownSubMeta"')
    applied = await cluster.call("PATCH", f"{FOOS}/x?fieldValidation=Strict&fieldManager=m", STRICT,
                                 content_type="application/apply-patch+yaml")
    assert applied.message.endswith('line 9: key "known" already set in map')
    once = STRICT.replace(b"  known: b\n", b"")
    applied = await cluster.call("PATCH", f"{FOOS}/x?fieldValidation=Strict&fieldManager=m", once,
                                 content_type="application/apply-patch+yaml")
    assert applied.code == 400
    for field in (".metadata.unknownMeta", ".spec.extra", ".spec.template.metadata.unknownSubMeta"):
        assert f"{field}: field not declared in schema" in applied.message


async def test_what_is_preserved_is_not_unknown_but_may_be_repeated(cluster):
    await define(cluster)
    body = b'{"metadata":{"name":"x","unknownMeta":1},"spec":{"a":1,"a":2,"known":"a"}}'
    refused = await cluster.call("POST", f"{FOOS}?fieldValidation=Strict", body)
    assert refused.message.endswith('strict decoding error: duplicate field "spec.a", unknown field '
                                    '"metadata.unknownMeta"')
    made = await cluster.call("POST", FOOS, body)
    assert made.json["spec"] == {"a": 2, "known": "a"}
    assert "unknownMeta" not in made.json["metadata"]
