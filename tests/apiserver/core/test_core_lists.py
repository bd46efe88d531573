"""Lists: selectors, resource versions, and large results in pieces."""

from __future__ import annotations

from typing import Any

import pytest
from support.api_server import Cluster, config, pod

CONFIGS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


def names(reply: Any) -> list[str]:
    return [item["metadata"]["name"] for item in reply.json["items"]]


@pytest.fixture
async def filled(cluster: Cluster) -> Cluster:
    for index in range(7):
        await cluster.post(CONFIGS, config() | {"metadata": {"name": f"c{index}", "labels": {"odd": str(index % 2)}}})
    return cluster


async def test_a_list_is_in_order_and_of_one_revision(filled: Cluster) -> None:
    reply = await filled.get(CONFIGS)
    assert names(reply) == [f"c{index}" for index in range(7)]
    assert reply.json["kind"] == "ConfigMapList"
    assert reply.json["metadata"]["resourceVersion"] == str(filled.feed.revision)


@pytest.mark.parametrize(("selector", "expected"), [
    pytest.param("odd=1", ["c1", "c3", "c5"], id="equal"),
    pytest.param("odd!=1", ["c0", "c2", "c4", "c6"], id="different"),
    pytest.param("odd%20in%20(0,2)", ["c0", "c2", "c4", "c6"], id="in"),
    pytest.param("!odd", [], id="absent"),
])
async def test_labels_select(filled: Cluster, selector: str, expected: list[str]) -> None:
    assert names(await filled.get(f"{CONFIGS}?labelSelector={selector}")) == expected


async def test_fields_select_pods(cluster: Cluster) -> None:
    await cluster.post(PODS, pod("a", nodeName="n1"))
    await cluster.post(PODS, pod("b"))
    assert names(await cluster.get("/api/v1/pods?fieldSelector=spec.nodeName=n1")) == ["a"]
    assert names(await cluster.get("/api/v1/pods?fieldSelector=spec.nodeName=,status.phase=Pending")) == ["b"]
    assert names(await cluster.get("/api/v1/pods?fieldSelector=metadata.name=b")) == ["b"]


@pytest.mark.parametrize(("url", "message"), [
    pytest.param(f"{PODS}?fieldSelector=spec.image=x", "field label not supported: spec.image", id="pod"),
    pytest.param(f"{CONFIGS}?fieldSelector=data=x",
                 '"data" is not a known field selector: only "metadata.name", "metadata.namespace"', id="config-map"),
    pytest.param(f"{PODS}?labelSelector=a=b=c", "found '=', expected: ',' or 'end of string'", id="labels"),
    pytest.param(f"{PODS}?resourceVersion=abc", 'strconv.ParseUint: parsing "abc": invalid syntax', id="version"),
    pytest.param(f"{PODS}?limit=abc", 'strconv.ParseInt: parsing "abc": invalid syntax', id="limit"),
    pytest.param(f"{PODS}?limit=9223372036854775808", "value out of range", id="large-limit"),
    pytest.param(f"{PODS}?continue=abc", "invalid continue token: continue key is not valid: unexpected end of JSON",
                 id="token"),
    pytest.param(f"{PODS}?continue=a.b", "illegal base64 data at input byte 1", id="token-of-other-letters"),
    pytest.param(f"{PODS}?continue=eyJ2IjoidjIiLCJydiI6MSwic3RhcnQiOiJhIn0",
                 "does not recognize this encoded version v2", id="token-of-another-version"),
])
async def test_what_cannot_be_understood_is_a_bad_request(cluster: Cluster, url: str, message: str) -> None:
    reply = await cluster.get(url)
    assert reply.code == 400, reply.content
    assert message in reply.message


@pytest.mark.parametrize(("query", "message"), [
    pytest.param("resourceVersionMatch=Exact", "forbidden unless resourceVersion is provided", id="match-alone"),
    pytest.param("resourceVersion=1&resourceVersionMatch=Nearly", 'Unsupported value: "Nearly"', id="unknown-match"),
    pytest.param("resourceVersion=0&resourceVersionMatch=Exact", 'forbidden for resourceVersion "0"', id="exact-zero"),
    pytest.param("sendInitialEvents=true", "sendInitialEvents is forbidden for list", id="initial-events"),
])
async def test_options_that_contradict_one_another_are_invalid(cluster: Cluster, query: str, message: str) -> None:
    reply = await cluster.get(f"{CONFIGS}?{query}")
    assert (reply.code, reply.json["reason"]) == (422, "Invalid")
    assert message in reply.message


async def pieces(cluster: Cluster, url: str) -> list[list[str]]:
    """All pieces of a list, following its tokens."""
    found, token = [], ""
    while True:
        reply = await cluster.get(url + (f"&continue={token}" if token else ""))
        assert reply.code == 200, reply.content
        found.append(names(reply))
        token = reply.json["metadata"].get("continue", "")
        if not token:
            return found


async def test_a_list_comes_in_pieces(filled: Cluster) -> None:
    assert await pieces(filled, f"{CONFIGS}?limit=3") == [["c0", "c1", "c2"], ["c3", "c4", "c5"], ["c6"]]
    assert await pieces(filled, f"{CONFIGS}?limit=2&labelSelector=odd=1") == [["c1", "c3"], ["c5"]]
    assert await pieces(filled, f"{CONFIGS}?limit=7") == [[f"c{index}" for index in range(7)]]


async def test_pieces_count_what_remains_unless_they_select(filled: Cluster) -> None:
    first = (await filled.get(f"{CONFIGS}?limit=3")).json["metadata"]
    assert first["remainingItemCount"] == 4
    second = (await filled.get(f"{CONFIGS}?limit=3&continue={first['continue']}")).json["metadata"]
    assert second["remainingItemCount"] == 1
    assert second["resourceVersion"] == first["resourceVersion"]
    assert "remainingItemCount" not in (await filled.get(f"{CONFIGS}?limit=1&labelSelector=odd=1")).json["metadata"]


async def test_later_pieces_do_not_see_later_writes(filled: Cluster) -> None:
    token = (await filled.get(f"{CONFIGS}?limit=3")).json["metadata"]["continue"]
    await filled.delete(f"{CONFIGS}/c4")
    await filled.post(CONFIGS, config("c3a"))
    assert names(await filled.get(f"{CONFIGS}?continue={token}")) == ["c3", "c4", "c5", "c6"]


async def test_an_expired_token_offers_an_inconsistent_one(filled: Cluster) -> None:
    token = (await filled.get(f"{CONFIGS}?limit=3")).json["metadata"]["continue"]
    await filled.delete(f"{CONFIGS}/c4")
    await filled.settle()
    await filled.store.compact(filled.feed.revision)
    gone = await filled.get(f"{CONFIGS}?continue={token}")
    assert (gone.code, gone.json["reason"]) == (410, "Expired")
    assert gone.message.startswith("The provided continue parameter is too old to display a consistent list result.")
    rest = await filled.get(f"{CONFIGS}?continue={gone.json['metadata']['continue']}")
    assert names(rest) == ["c3", "c5", "c6"]


async def test_a_list_as_of_an_exact_revision(filled: Cluster) -> None:
    then = filled.feed.revision
    await filled.delete(f"{CONFIGS}/c0")
    exact = f"{CONFIGS}?resourceVersionMatch=Exact&resourceVersion="
    assert len(names(await filled.get(f"{exact}{then}"))) == 7
    assert len(names(await filled.get(CONFIGS))) == 6
    await filled.settle()
    await filled.store.compact(filled.feed.revision)
    gone = await filled.get(f"{exact}{then}")
    assert (gone.code, gone.json["reason"]) == (410, "Expired")
    assert gone.message == "The resourceVersion for the provided list is too old."


async def test_a_revision_that_has_not_happened_times_out(filled: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timonier.apiserver.feed.AHEAD_SECONDS", 0.01)
    later = filled.feed.revision + 100
    reply = await filled.get(f"{CONFIGS}?resourceVersion={later}")
    assert (reply.code, reply.json["reason"]) == (504, "Timeout")
    assert reply.message == f"Too large resource version: {later}, current: {filled.feed.revision}"
    assert reply.json["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_tables_and_metadata_alone(filled: Cluster) -> None:
    table = await filled.get(CONFIGS, accept="application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
    assert table.headers["content-type"] == "application/json"
    assert table.json["kind"] == "Table"
    assert [row["cells"][0] for row in table.json["rows"]][:2] == ["c0", "c1"]
    assert table.json["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    alone = await filled.get(CONFIGS, accept="application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")
    assert alone.json["kind"] == "PartialObjectMetadataList"
    assert set(alone.json["items"][0]) == {"kind", "apiVersion", "metadata"}
    one = await filled.get(f"{CONFIGS}/c0", accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
    assert one.json["kind"] == "PartialObjectMetadata"


