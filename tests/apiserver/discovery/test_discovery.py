"""Discovery, plain and aggregated."""

import gzip

import orjson
import pytest

from timonier.api.kinds import KINDS
from timonier.apiserver.discovery import GROUP_ORDER, Discovery
from timonier.apiserver.documents import LARGE, Document, accepted, choose
from timonier.apiserver.resources import Resources

KUBECTL = ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
           "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json")


def read(path, accept=""):
    document = Discovery(Resources(), "10.0.0.1:6443").document(path, accept)
    assert document is not None
    return document, orjson.loads(document.content())


def test_every_kind_is_discovered_in_its_group_and_version():
    for kind in KINDS:
        _, answer = read(f"/apis/{kind.group}/{kind.version}" if kind.group else "/api/v1")
        row = next(row for row in answer["resources"] if row["name"] == kind.plural)
        assert (row["kind"], row["namespaced"], row["singularName"]) == (kind.kind, kind.namespaced, kind.kind.lower())


def test_pods_are_described_as_kubernetes_does():
    _, answer = read("/api/v1")
    rows = {row["name"]: row for row in answer["resources"]}
    assert rows["pods"] == {
        "name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["po"], "categories": ["all"], "storageVersionHash": "xPOwRZ+Yhw8="}
    assert rows["pods/eviction"] == {"name": "pods/eviction", "singularName": "", "namespaced": True,
                                     "group": "policy", "version": "v1", "kind": "Eviction", "verbs": ["create"]}


def test_groups_come_in_the_order_of_their_priority_with_the_preferred_version_first():
    _, answer = read("/apis/")
    assert [group["name"] for group in answer["groups"]] == list(GROUP_ORDER)
    scaling = next(group for group in answer["groups"] if group["name"] == "autoscaling")
    assert scaling["preferredVersion"]["version"] == "v2"
    assert [version["version"] for version in scaling["versions"]] == ["v2", "v1"]


def test_every_group_of_the_table_has_a_priority():
    assert {kind.group for kind in KINDS} - {""} == set(GROUP_ORDER)


def test_kubectl_gets_everything_at_once():
    document, answer = read("/apis", KUBECTL)
    assert document.media_type == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    apps = next(item for item in answer["items"] if item["metadata"].get("name") == "apps")
    deployments = next(row for row in apps["versions"][0]["resources"] if row["resource"] == "deployments")
    assert deployments["responseKind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert {"subresource": "scale", "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
            "verbs": ["get", "patch", "update"]} in deployments["subresources"]


@pytest.mark.parametrize("accept", [
    pytest.param("", id="no-wish"), pytest.param("*/*", id="anything"), pytest.param("application/json", id="json"),
    pytest.param("application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,*/*", id="unknown-version")])
def test_old_clients_get_the_plain_form(accept):
    assert read("/apis", accept)[1]["kind"] == "APIGroupList"


def test_the_older_aggregated_form_is_kept_for_clients_that_ask_for_it_alone():
    accept = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
    assert read("/api", accept)[1]["apiVersion"] == "apidiscovery.k8s.io/v2beta1"


@pytest.mark.parametrize("path", ["/apis/nowhere", "/apis/apps/v2", "/api/v2", "/apis/apps/v1/deployments", "/x"])
def test_there_is_no_document_for_what_does_not_exist(path):
    assert Discovery(Resources()).document(path) is None


def test_a_client_that_has_the_content_gets_304():
    document, _ = read("/apis", KUBECTL)
    assert document.answer({"if-none-match": f'"{document.etag}"'}).status == 304
    assert document.answer({"if-none-match": '"other"'}).status == 200


def test_large_documents_travel_compressed_where_the_client_can_read_that():
    text = b"timonier " * LARGE
    document = Document.of(text)
    assert len(document.packed) < LARGE
    answer = document.answer({"accept-encoding": "deflate, gzip;q=0.5"})
    assert ("content-encoding", "gzip") in answer.headers
    assert gzip.decompress(answer.body) == text
    assert document.answer({"accept-encoding": "gzip;q=0"}).body == text


def test_accept_clauses_are_ranked_by_quality_then_order():
    clauses = accepted("a/b;q=0.2, c/d, e/f;g=x;q=0.9, z/z;q=0")
    assert [clause.media_type for clause in clauses] == ["c/d", "e/f", "a/b"]
    assert clauses[1].parameters == {"g": "x"}


def test_a_client_gets_what_it_likes_best_of_what_is_offered():
    assert choose("", ["a/b", "c/d"]) == "a/b"
    assert choose("c/*;q=0.3", ["a/b", "c/d"]) == "c/d"
    assert choose("x/y", ["a/b", "c/d"]) is None
