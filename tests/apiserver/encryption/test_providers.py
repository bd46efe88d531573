"""Providers of encryption, each with its key, and which of them a value is for."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from timonier.apiserver.encryption.ciphers import AesCbc, AesGcm, Cipher, Identity, Keyed, Secretbox, Undecipherable
from timonier.apiserver.encryption.config import read, seconds
from timonier.apiserver.encryption.scheme import Entry, Scheme
from timonier.kit.fatal import CannotRun

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
KEY, VALUE = "/secrets/default/a", b'{"kind":"Secret"}'
CIPHERS = [pytest.param(cipher, id=cipher.__name__.lower()) for cipher in (AesGcm, AesCbc, Secretbox)]


@pytest.mark.parametrize("cipher", CIPHERS)
async def test_what_is_sealed_is_read_again_and_by_nobody_else(cipher: Any) -> None:
    ours, other = (Keyed("x", cipher, [("a", key)]) for key in (OLD, NEW))
    sealed = ours.seal(KEY, VALUE)
    assert VALUE not in sealed
    assert sealed.startswith(b"k8s:enc:x:v1:a:")
    assert await ours.unseal(KEY, sealed) == VALUE
    with pytest.raises(Undecipherable, match="/secrets/default/a"):
        await other.unseal(KEY, sealed)


@pytest.mark.parametrize("cipher", CIPHERS)
async def test_keys_rotate_the_first_writes_and_all_read(cipher: Any) -> None:
    before = Keyed("x", cipher, [("old", OLD)])
    after = Keyed("x", cipher, [("new", NEW), ("old", OLD)])
    stored = before.seal(KEY, VALUE)
    assert await after.unseal(KEY, stored) == VALUE
    assert (after.current(stored), after.current(after.seal(KEY, VALUE))) == (False, True)


@pytest.mark.parametrize("cipher", [AesGcm, Secretbox])
@pytest.mark.parametrize("place", [0, 13, 30, -1])
def test_a_changed_value_is_not_believed(cipher: type[Cipher], place: int) -> None:
    ours = cipher(OLD)  # type: ignore[call-arg]
    sealed = bytearray(ours.seal(VALUE, b""))
    sealed[place] ^= 1
    with pytest.raises(ValueError, match="not what this key made"):
        ours.unseal(bytes(sealed), b"")


async def test_values_are_sealed_as_kubernetes_seals_them() -> None:
    """`nonce || ciphertext || tag` with the storage key authenticated, as any other AES-GCM would open it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    sealed = Keyed("aesgcm", AesGcm, [("k", OLD)]).seal(KEY, VALUE).removeprefix(b"k8s:enc:aesgcm:v1:k:")
    assert AESGCM(OLD).decrypt(sealed[:12], sealed[12:], KEY.encode()) == VALUE


@pytest.mark.parametrize(("key", "expected"), [
    pytest.param("/secrets/default/a", 0, id="by-name"), pytest.param("/deployments.apps/default/a", 1, id="by-group"),
    pytest.param("/things.example.com/default/a", 2, id="custom-resources"), pytest.param("/pods/a/b", 3, id="core"),
    pytest.param("/jobs.batch/a/b", 4, id="everything-else"),
    pytest.param("/timonier/nodeports/1", None, id="not-the-servers-own")])
def test_the_first_entry_that_names_a_resource_has_it(key: str, expected: int | None) -> None:
    names = (("secrets",), ("*.apps",), ("things.example.com",), ("*.",), ("*.*",))
    entries = [Entry(each, (Keyed("x", AesGcm, [(str(number), OLD)]),)) for number, each in enumerate(names)]
    found = Scheme(entries).providers(key)
    assert isinstance(found[0], Identity) if expected is None else found == entries[expected].providers


async def test_providers_are_asked_in_order_and_plain_values_need_identity() -> None:
    old, new = Keyed("aescbc", AesCbc, [("a", OLD)]), Keyed("aesgcm", AesGcm, [("a", NEW)])
    scheme = Scheme([Entry(("secrets",), (new, old, Identity()))])
    for stored in (old.seal(KEY, VALUE), new.seal(KEY, VALUE), VALUE):
        assert await scheme.unseal(KEY, stored) == VALUE
    assert scheme.seal(KEY, VALUE).startswith(b"k8s:enc:aesgcm:v1:a:")
    with pytest.raises(Undecipherable, match="is not encrypted, and no provider"):
        await Scheme([Entry(("secrets",), (new,))]).unseal(KEY, VALUE)
    with pytest.raises(Undecipherable, match=r"is encrypted \(k8s:enc:aesgcm:v1:a\)"):
        await Scheme([]).unseal(KEY, new.seal(KEY, VALUE))


def entry(*providers: dict[str, Any], resources: tuple[str, ...] = ("secrets",)) -> dict[str, Any]:
    return {"resources": list(resources), "providers": list(providers)}


def keys(secret: bytes = OLD, name: str = "a") -> dict[str, Any]:
    return {"keys": [{"name": name, "secret": base64.b64encode(secret).decode()}]}


def written(folder: Path, *entries: dict[str, Any]) -> Path:
    file = folder / "encryption.yaml"
    file.write_text(yaml.safe_dump({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
                                    "resources": list(entries)}))
    return file


async def test_a_configuration_becomes_providers_in_its_order(tmp_path: Path) -> None:
    scheme = read(written(tmp_path, entry({"secretbox": keys()}, {"aescbc": keys()}, {"identity": {}})))
    assert [each.prefix for each in scheme.providers(KEY)] == [b"k8s:enc:secretbox:v1:", b"k8s:enc:aescbc:v1:", b""]
    assert await scheme.unseal(KEY, scheme.seal(KEY, VALUE)) == VALUE


@pytest.mark.parametrize(("given", "message"), [
    pytest.param(entry({"aesgcm": keys(b"short")}), "secret is not of the expected length, got 5, expected one of "
                 r"\[16 24 32\]", id="short-key"),
    pytest.param(entry({"secretbox": {"keys": [{"name": "a", "secret": "%"}]}}), "secrets must be base64 encoded",
                 id="not-base64"),
    pytest.param(entry({"aescbc": {}}), r"aescbc.keys: Required value", id="no-keys"),
    pytest.param(entry({"rot13": {}}), "does not contain any of the expected providers", id="unknown-provider"),
    pytest.param(entry({"identity": {}, "aesgcm": keys()}), "more than one provider specified", id="two-in-one"),
    pytest.param(entry(), r"providers: Required value", id="no-provider"),
    pytest.param(entry({"identity": {}}, resources=("*",)), r"use '\*\.' to encrypt", id="bare-star"),
    pytest.param(entry({"identity": {}}, resources=("secrets", "*.")), "overlapping resources", id="overlap"),
    pytest.param(entry({"identity": {}}, resources=("Secrets",)), "capital letters", id="capitals"),
    pytest.param(entry({"kms": {"apiVersion": "v1", "name": "a", "endpoint": "unix:///x"}}), "speaks v2 alone",
                 id="kms-v1"),
    pytest.param(entry({"kms": {"apiVersion": "v2", "name": "a", "endpoint": "https://x"}}), "only unix is supported",
                 id="kms-over-the-network"),
    pytest.param(entry(*({"kms": {"apiVersion": "v2", "name": "a", "endpoint": "unix:///x"}},) * 2), "duplicate KMS",
                 id="kms-twice"),
])
def test_a_configuration_that_means_nothing_keeps_the_server_from_starting(
        tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(CannotRun, match=message):
        read(written(tmp_path, given))


@pytest.mark.parametrize(("text", "expected"), [("3s", 3.0), ("1m30s", 90.0), ("500ms", 0.5), ("", 3.0), ("x", 0.0)])
def test_timeouts_are_read_as_go_reads_them(text: str, expected: float) -> None:
    assert seconds(text) == expected
