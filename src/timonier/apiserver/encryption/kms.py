"""A key management service (KMS v2): a plugin behind a Unix socket keeps the key that encrypts our keys.

The plugin encrypts a seed that this server makes; each value is encrypted with a key that is derived from the seed and
from random bytes of its own, so the plugin is asked when its key changes and when a seed is first read, not for every
value. The four messages are small, and written by hand over grpcio, which is imported here alone.
Source: Kubernetes documentation, "Using a KMS provider for data encryption"; KEP-3299.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from timonier.api.protobuf import BadProtobuf
from timonier.api.protobuf.wire import message, read_varint, skip, tag, varint
from timonier.apiserver.encryption.ciphers import SEALED, AesGcm, Undecipherable
from timonier.kit.clock import Seconds

log = logging.getLogger(__name__)

SERVICE = "/v2.KeyManagementService/"
SEED_BYTES = INFO_BYTES = 32
PLAIN_KEY, DERIVED_KEY = 0, 1
"""What the seed of a value is: its key itself, or what its key is derived from."""
LONGEST = 1024
"""Bytes of a key's id, and of an encrypted seed."""
STATUS_SECONDS: Seconds = 60.0
"""Between two questions after the plugin's key."""


class Unhealthy(Exception):
    """The plugin does not answer, or not as it should."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """An encrypted seed, and what the plugin needs to decrypt it."""

    key_id: str
    source: bytes
    annotations: tuple[tuple[bytes, bytes], ...] = ()


class Kms:
    """A provider. `refresh` before the first value, and now and then."""

    def __init__(self, name: str, endpoint: str, timeout: Seconds) -> None:
        self.name, self.prefix = name, SEALED + f"kms:v2:{name}:".encode()
        self._endpoint, self._timeout = endpoint, timeout
        self.trouble = ""
        """What was wrong with the plugin when it was last asked."""
        self._channel: Any = None
        self._current: tuple[Envelope, bytes] | None = None
        self._seeds: dict[Envelope, bytes] = {}

    async def refresh(self) -> None:
        """Have a seed that is encrypted with the plugin's key of today. Raises Unhealthy, and remembers it."""
        try:
            await self._refresh()
            self.trouble = ""
        except Unhealthy as error:
            self.trouble = str(error)
            raise

    async def _refresh(self) -> None:
        status = dict(fields(await self._ask("Status", b"")))
        if status.get(1) not in (b"v2", b"v2beta1"):
            raise Unhealthy(f"KMS plugin {self.name} speaks {text(status.get(1))!r}, not v2")
        if status.get(2) != b"ok":
            raise Unhealthy(f"KMS plugin {self.name} says of its health: {text(status.get(2))!r}")
        key_id = text(status.get(3))
        if self._current is not None and self._current[0].key_id == key_id:
            return
        seed = os.urandom(SEED_BYTES)
        made = list(fields(await self._ask("Encrypt", message(1, seed) + message(2, uid()))))
        answer = dict(made)
        envelope = Envelope(text(answer.get(2)), answer.get(1) or b"",
                            tuple(pair(content) for number, content in made if number == 3))
        if not envelope.source or not envelope.key_id or len(envelope.source) > LONGEST \
                or len(envelope.key_id) > LONGEST:
            raise Unhealthy(f"KMS plugin {self.name} gave no ciphertext and key id of 1 to {LONGEST} bytes")
        self._current = envelope, seed
        self._seeds[envelope] = seed
        log.info("key of the KMS in use", extra={"provider": self.name, "key_id": envelope.key_id})

    def seal(self, key: str, value: bytes) -> bytes:
        if self._current is None:
            raise Undecipherable(f"KMS plugin {self.name} has given no key yet")
        envelope, seed = self._current
        info = os.urandom(INFO_BYTES)
        sealed = info + AesGcm(derived(seed, info)).seal(value, key.encode())
        content = [message(1, sealed), message(2, envelope.key_id.encode()), message(3, envelope.source)]
        content += [message(4, message(1, name) + message(2, note)) for name, note in envelope.annotations]
        return self.prefix + b"".join(content) + varint(tag(5, 0)) + varint(DERIVED_KEY)

    async def unseal(self, key: str, value: bytes) -> bytes:
        try:
            stored = list(fields(value[len(self.prefix):]))
            found = dict(stored)
            envelope = Envelope(text(found.get(2)), found.get(3) or b"",
                                tuple(pair(content) for number, content in stored if number == 4))
            sealed = found[1]
            seed = self._seeds.get(envelope) or await self._decrypt(envelope)
            if found.get(5, PLAIN_KEY) == PLAIN_KEY:
                return AesGcm(seed).unseal(sealed, key.encode())
            return AesGcm(derived(seed, sealed[:INFO_BYTES])).unseal(sealed[INFO_BYTES:], key.encode())
        except Unhealthy as error:
            raise Undecipherable(f"{key} cannot be decrypted: {error}") from error
        except (ValueError, BadProtobuf, KeyError, IndexError):
            raise Undecipherable(f"{key} was not encrypted with a key of KMS {self.name}, or was changed") from None

    def current(self, value: bytes) -> bool:
        if not value.startswith(self.prefix) or self._current is None:
            return False
        found = dict(fields(value[len(self.prefix):]))
        return found.get(3) == self._current[0].source

    async def _decrypt(self, envelope: Envelope) -> bytes:
        asked = message(1, envelope.source) + message(2, uid()) + message(3, envelope.key_id.encode())
        asked += b"".join(message(4, message(1, name) + message(2, note)) for name, note in envelope.annotations)
        seed = dict(fields(await self._ask("Decrypt", asked))).get(1) or b""
        self._seeds[envelope] = seed
        return seed

    async def _ask(self, method: str, body: bytes) -> bytes:
        import grpc

        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self._endpoint)
        try:
            call = self._channel.unary_unary(SERVICE + method)
            answer: bytes = await call(body, timeout=self._timeout, wait_for_ready=True)
            return answer
        except grpc.aio.AioRpcError as error:
            raise Unhealthy(f"KMS plugin {self.name} at {self._endpoint} does not {method.lower()}: "
                            f"{error.details()}") from error

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()


def derived(seed: bytes, info: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

    return HKDFExpand(SHA256(), SEED_BYTES, info).derive(seed)


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message by number: bytes and numbers. Raises BadProtobuf, IndexError."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, form = key >> 3, key & 7
        if form == 2:
            size, at = read_varint(data, at)
            yield number, bytes(data[at:at + size])
            at += size
        elif form == 0:
            value, at = read_varint(data, at)
            yield number, value
        else:
            at = skip(data, at, form)


def pair(content: bytes) -> tuple[bytes, bytes]:
    entry = dict(fields(content))
    return entry.get(1) or b"", entry.get(2) or b""


def text(content: Any) -> str:
    return content.decode("utf-8", "replace") if isinstance(content, bytes) else ""


def uid() -> bytes:
    return str(uuid.uuid4()).encode()
