"""What lies between the server and the store: bytes, encryption, history, conversion of metadata."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
from support.api_server import Cluster, config, running

from timonier.apiserver import feed
from timonier.apiserver.encryption.ciphers import Undecipherable
from timonier.apiserver.encryption.config import of_key, with_key
from timonier.apiserver.encryption.store import EncryptedStore
from timonier.apiserver.metadata import generated_name
from timonier.apiserver.objects import encode, read, splice
from timonier.kit.fatal import CannotRun
from timonier.store.contract import ABSENT, Conflict
from timonier.store.memory import MemoryStore
from timonier.store.sqlite import SqliteStore

SCHEME = with_key(bytes(range(32)))


def test_a_version_is_spliced_in_as_the_first_field_of_metadata() -> None:
    obj = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "resourceVersion": "1"}, "spec": {}}
    value = encode(obj)
    assert value == b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{}}'
    assert orjson.loads(splice(value, 7))["metadata"] == {"resourceVersion": "7", "name": "a"}
    assert read(value, 7)["metadata"]["resourceVersion"] == "7"


@pytest.mark.parametrize("name", ["é", "system:élève", "\N{DELETE}"])
async def test_names_in_any_alphabet_are_kept(tmp_path: Path, name: str) -> None:
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles"
    async with running(tmp_path, await SqliteStore.open(tmp_path / "store.db")) as cluster:
        watch = await cluster.watch(f"{roles}?watch=1&fieldSelector=metadata.name={quote(name)}")
        assert (await cluster.post(roles, {"metadata": {"name": name}})).code == 201
        assert (await cluster.get(f"{roles}/{name}")).json["metadata"]["name"] == name
        assert (await cluster.get(f"{roles}/{quote(name)}")).code == 404
        assert [item["metadata"]["name"] for item in (await cluster.get(roles)).json["items"]] == [name]
        assert (await cluster.delete(f"{roles}/{name}")).code == 200
        await cluster.settle()
        assert [event["type"] for event in watch.events()] == ["ADDED", "DELETED"]


def test_generated_names_fit() -> None:
    assert len(generated_name("x" * 100)) == 63


async def test_secrets_are_not_readable_on_disk(tmp_path: Path) -> None:
    inner = MemoryStore()
    async with running(tmp_path, EncryptedStore(inner, SCHEME)) as cluster:
        await cluster.post("/api/v1/namespaces/default/secrets",
                           {"metadata": {"name": "s"}, "stringData": {"password": "hunter2"}})
        await cluster.post("/api/v1/namespaces/default/configmaps", config(a="b"))
        raw = await inner.get("/secrets/default/s")
        assert raw is not None
        assert b"aHVudGVyMg" not in raw.value
        assert raw.value.startswith(b"k8s:enc:aesgcm:v1:key-file:")
        got = (await cluster.get("/api/v1/namespaces/default/secrets/s")).json
        assert got["data"] == {"password": "aHVudGVyMg=="}
        assert (await inner.get("/configmaps/default/settings")).value.startswith(b"{")  # type: ignore[union-attr]


async def test_a_secret_cannot_be_put_in_anothers_place() -> None:
    inner = MemoryStore()
    store = EncryptedStore(inner, SCHEME)
    await store.write("/secrets/a/x", b'{"a":1}', expect=ABSENT)
    stolen = await inner.get("/secrets/a/x")
    assert stolen is not None
    await inner.write("/secrets/b/x", stolen.value, expect=ABSENT)
    with pytest.raises(Undecipherable):
        await store.get("/secrets/b/x")
    with pytest.raises(Undecipherable):
        await EncryptedStore(inner, with_key(bytes(32))).get("/secrets/a/x")


async def test_a_conflict_shows_the_current_value_in_the_clear() -> None:
    store = EncryptedStore(MemoryStore(), SCHEME)
    await store.write("/secrets/a/x", b'{"a":1}', expect=ABSENT)
    with pytest.raises(Conflict) as caught:
        await store.write("/secrets/a/x", b'{"a":2}', expect=99)
    assert caught.value.current is not None
    assert caught.value.current.value == b'{"a":1}'


async def test_what_was_written_before_there_was_a_key_is_still_read() -> None:
    inner = MemoryStore()
    await inner.write("/secrets/a/x", b'{"a":1}', expect=ABSENT)
    entry = await EncryptedStore(inner, SCHEME).get("/secrets/a/x")
    assert entry is not None
    assert entry.value == b'{"a":1}'


def test_a_key_of_the_wrong_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(CannotRun, match="has 32 bytes, this file has 5"):
        of_key(tmp_path / "key")


async def test_watches_resume_across_a_restart(tmp_path: Path) -> None:
    url = "/api/v1/namespaces/default/configmaps"
    async with running(tmp_path, await SqliteStore.open(tmp_path / "store.db")) as cluster:
        await cluster.post(url, config("a"))
        start = (await cluster.get(url)).json["metadata"]["resourceVersion"]
        await cluster.post(url, config("b"))
    async with running(tmp_path, await SqliteStore.open(tmp_path / "store.db")) as cluster:
        watch = await cluster.watch(f"{url}?watch=1&resourceVersion={start}")
        assert [event["object"]["metadata"]["name"] for event in watch.events()] == ["b"]


async def test_node_ports_that_were_claimed_long_ago_do_not_keep_the_server_from_starting(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "REPLAYED", 0)
    url = "/api/v1/namespaces/default/services"
    async with running(tmp_path, await SqliteStore.open(tmp_path / "store.db")) as cluster:
        body = {"metadata": {"name": "web"}, "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 31000}]}}
        assert (await cluster.post(url, body)).code == 201
    async with asyncio.timeout(10), running(tmp_path, await SqliteStore.open(tmp_path / "store.db")) as cluster:
        assert (await cluster.get(f"{url}/web")).json["spec"]["ports"][0]["nodePort"] == 31000


async def test_a_store_that_fails_is_unavailable_and_not_a_defect(cluster: Cluster) -> None:
    await cluster.store.close()
    reply = await cluster.get("/api/v1/namespaces")
    assert (reply.code, reply.json["reason"]) == (503, "ServiceUnavailable")
    assert (await cluster.get("/livez")).code == 500
