"""Encryption at rest under a whole server: reload, migration, and a key management service behind a socket."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from support.api_server import running

from timonier.api.protobuf.wire import message
from timonier.apiserver.encryption.ciphers import AesGcm, Identity, Keyed, Undecipherable
from timonier.apiserver.encryption.kms import Kms, Unhealthy, fields
from timonier.apiserver.encryption.migrate import migrate_all
from timonier.apiserver.encryption.scheme import Entry, Scheme
from timonier.apiserver.encryption.store import RELOAD_SECONDS, EncryptedStore, encrypted
from timonier.kit.clock import FakeClock
from timonier.store.contract import ABSENT
from timonier.store.memory import MemoryStore

SECRETS = "/api/v1/namespaces/default/secrets"
MIGRATIONS = "/apis/storagemigration.k8s.io/v1/storageversionmigrations"
KEY, VALUE = "/secrets/default/a", b'{"kind":"Secret"}'


def scheme(*keys: str) -> Scheme:
    provider = Keyed("aesgcm", AesGcm, [(key, key.encode().ljust(32, b"-")) for key in keys])
    return Scheme([Entry(("secrets",), (provider, Identity()) if keys else (Identity(),))])


async def stored(store: MemoryStore, key: str = KEY) -> bytes:
    entry = await store.get(key)
    assert entry is not None
    return entry.value


async def test_a_replacement_that_changes_nothing_is_written_with_the_new_key(tmp_path: Path) -> None:
    inner = MemoryStore()
    store = EncryptedStore(inner, scheme("a"))
    async with running(tmp_path, store) as cluster:
        made = (await cluster.post(SECRETS, {"metadata": {"name": "a"}, "stringData": {"x": "y"}})).json
        same = (await cluster.put(f"{SECRETS}/a", made)).json
        assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        store.scheme = scheme("b", "a")
        assert (await cluster.put(f"{SECRETS}/a", made)).code == 200
        assert (await stored(inner)).startswith(b"k8s:enc:aesgcm:v1:b:")


async def test_a_migration_writes_all_objects_of_a_resource_again_and_says_when_it_is_done(tmp_path: Path) -> None:
    inner = MemoryStore()
    store = EncryptedStore(inner, scheme())
    async with running(tmp_path, store) as cluster:
        for name in ("a", "b"):
            await cluster.post(SECRETS, {"metadata": {"name": name}, "stringData": {"x": "y"}})
        store.scheme = scheme("k")
        await cluster.post(MIGRATIONS, {"metadata": {"name": "m"}, "spec": {"resource": {"resource": "secrets"}}})
        await migrate_all(cluster.registry)
        for name in ("a", "b"):
            assert (await stored(inner, f"/secrets/default/{name}")).startswith(b"k8s:enc:aesgcm:v1:k:")
        status = (await cluster.get(f"{MIGRATIONS}/m")).json["status"]
        assert [(each["type"], each["status"]) for each in status["conditions"]] == [("Succeeded", "True")]
        assert int(status["resourceVersion"]) > 0


async def test_a_migration_of_what_there_is_not_fails(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await cluster.post(MIGRATIONS, {"metadata": {"name": "m"}, "spec": {"resource": {"resource": "unicorns"}}})
        await migrate_all(cluster.registry)
        condition = (await cluster.get(f"{MIGRATIONS}/m")).json["status"]["conditions"][0]
        assert (condition["type"], condition["reason"]) == ("Failed", "StorageVersionMigrationFailed")


def write(file: Path, *names: str) -> None:
    keys = [{"name": name, "secret": base64.b64encode(name.encode() * 32).decode()} for name in names]
    file.write_text(yaml.safe_dump({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [{"aesgcm": {"keys": keys}}, {"identity": {}}]}]}))


async def test_a_changed_configuration_counts_without_a_restart_unless_it_cannot_be_used(tmp_path: Path) -> None:
    file, inner, clock = tmp_path / "config.yaml", MemoryStore(), FakeClock()
    write(file, "a")
    async with encrypted(inner, None, file, clock, reload=True) as store:
        await asyncio.sleep(0)
        file.write_text("nonsense")
        await clock.advance(RELOAD_SECONDS + 1)
        revision = await store.write(KEY, VALUE, expect=ABSENT)
        assert (await stored(inner)).startswith(b"k8s:enc:aesgcm:v1:a:")
        write(file, "b", "a")
        await clock.advance(RELOAD_SECONDS + 1)
        await store.write(KEY, VALUE, expect=revision)
        assert (await stored(inner)).startswith(b"k8s:enc:aesgcm:v1:b:")


async def test_a_server_without_keys_does_not_start_on_what_is_encrypted() -> None:
    inner = MemoryStore()
    await EncryptedStore(inner, scheme("a")).write(KEY, VALUE, expect=ABSENT)
    with pytest.raises(Undecipherable, match=r"/secrets/default/a is encrypted \(k8s:enc:aesgcm:v1:a\); give the key"):
        async with encrypted(inner, None, None, FakeClock()):
            pass


class Plugin(grpc.GenericRpcHandler):
    """A KMS v2 plugin that hides a seed by reversing it."""

    def __init__(self) -> None:
        self.key_id, self.healthz, self.calls = "key-1", "ok", list[str]()

    def service(self, details: Any) -> Any:
        method = details.method.rpartition("/")[2]

        async def answer(body: bytes, context: Any) -> bytes:
            self.calls.append(method)
            asked = dict(fields(body))
            if method == "Status":
                return message(1, b"v2") + message(2, self.healthz.encode()) + message(3, self.key_id.encode())
            if method == "Encrypt":
                note = message(1, b"local.example.com") + message(2, b"n")
                return message(1, asked[1][::-1]) + message(2, self.key_id.encode()) + message(3, note)
            return message(1, asked[1][::-1])
        return grpc.unary_unary_rpc_method_handler(answer)


@asynccontextmanager
async def plugin(folder: Path) -> AsyncIterator[tuple[Plugin, str]]:
    handler, server = Plugin(), grpc.aio.server()
    endpoint = f"unix://{folder}/kms.sock"
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(endpoint)
    await server.start()
    try:
        yield handler, endpoint
    finally:
        await server.stop(None)


async def test_a_key_management_service_is_asked_once_for_a_seed_and_not_for_every_value(tmp_path: Path) -> None:
    async with plugin(tmp_path) as (handler, endpoint):
        first, second = Kms("vault", endpoint, 3.0), Kms("vault", endpoint, 3.0)
        await first.refresh()
        sealed = [first.seal(KEY, VALUE) for _ in range(3)]
        assert len(set(sealed)) == 3
        assert sealed[0].startswith(b"k8s:enc:kms:v2:vault:")
        await second.refresh()
        handler.calls.clear()
        for each in sealed:
            assert await second.unseal(KEY, each) == VALUE
        assert handler.calls == ["Decrypt"]
        with pytest.raises(Undecipherable, match="/secrets/default/b"):
            await first.unseal("/secrets/default/b", sealed[0])
        await first.close()
        await second.close()


async def test_a_new_key_of_the_service_is_used_for_what_is_written_from_then_on(tmp_path: Path) -> None:
    async with plugin(tmp_path) as (handler, endpoint):
        kms = Kms("vault", endpoint, 3.0)
        await kms.refresh()
        old = kms.seal(KEY, VALUE)
        handler.key_id = "key-2"
        await kms.refresh()
        assert (kms.current(old), kms.current(kms.seal(KEY, VALUE))) == (False, True)
        assert await kms.unseal(KEY, old) == VALUE
        handler.healthz = "no"
        with pytest.raises(Unhealthy, match="says of its health: 'no'"):
            await kms.refresh()
        await kms.close()


async def test_a_configuration_with_a_key_management_service_serves_a_cluster(tmp_path: Path) -> None:
    async with plugin(tmp_path) as (handler, endpoint):
        file, inner = tmp_path / "config.yaml", MemoryStore()
        file.write_text(yaml.safe_dump({
            "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
            "resources": [{"resources": ["*.*"], "providers": [
                {"kms": {"apiVersion": "v2", "name": "v", "endpoint": endpoint}}]}]}))
        async with encrypted(inner, None, file, FakeClock()) as store, running(tmp_path, store) as cluster:
            await cluster.post(SECRETS, {"metadata": {"name": "a"}, "stringData": {"x": "y"}})
            assert (await cluster.get(f"{SECRETS}/a")).json["data"] == {"x": "eQ=="}
            assert (await stored(inner)).startswith(b"k8s:enc:kms:v2:v:")
            assert (await stored(inner, "/namespaces/default")).startswith(b"k8s:enc:kms:v2:v:")
            assert b"[+]kms-providers ok\n" in (await cluster.get("/readyz?verbose")).content
            [service] = store.scheme.services()  # type: ignore[attr-defined]
            handler.healthz = "sealed"
            with pytest.raises(Unhealthy):
                await service.refresh()
            assert (await cluster.get("/readyz/kms-providers")).code == 500


async def test_a_service_that_is_not_there_keeps_the_server_from_starting(tmp_path: Path) -> None:
    kms = Kms("vault", f"unix://{tmp_path}/nothing.sock", 0.2)
    with pytest.raises(Unhealthy, match=r"KMS plugin vault at unix:.* does not status"):
        await kms.refresh()
    await kms.close()


async def test_a_key_may_go_once_all_that_is_current_is_written_with_another(tmp_path: Path) -> None:
    inner = MemoryStore()
    store = EncryptedStore(inner, scheme("old"))
    async with running(tmp_path, store) as cluster:
        made = (await cluster.post(SECRETS, {"metadata": {"name": "a"}, "stringData": {"x": "y"}})).json
        gone = (await cluster.post(SECRETS, {"metadata": {"name": "b"}, "stringData": {"x": "y"}})).json
        store.scheme = scheme("new", "old")
        await cluster.put(f"{SECRETS}/a", made)
        await cluster.delete(f"{SECRETS}/{gone['metadata']['name']}")
        again = EncryptedStore(inner, scheme("new"))
        async with running(tmp_path, again) as other:
            assert (await other.get(f"{SECRETS}/a")).json["data"] == {"x": "eQ=="}
            assert (await other.get(f"{SECRETS}/b")).code == 404


async def test_a_key_may_not_go_before_that() -> None:
    inner = MemoryStore()
    await EncryptedStore(inner, scheme("old")).write(KEY, VALUE, expect=ABSENT)
    with pytest.raises(Undecipherable, match="/secrets/default/a"):
        await EncryptedStore(inner, scheme("new")).list("/", at=await inner.revision())
