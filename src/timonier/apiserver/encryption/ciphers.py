"""Providers that have their keys: AES in two modes, secretbox, and none at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Protocol

from timonier.kit.fatal import CannotRun
from timonier.store.contract import StoreError

SEALED = b"k8s:enc:"
"""How every encrypted value begins. Objects begin with a brace."""
NONCE, BLOCK = 12, 16


class Undecipherable(CannotRun, StoreError):
    """A value that no provider can read: its key is missing, or it was changed on disk."""


class Provider(Protocol):
    """Encrypts and decrypts whole values."""

    prefix: bytes
    """How its values begin; empty for the provider that leaves them as they are."""

    def seal(self, key: str, value: bytes) -> bytes:
        """The value as it is stored under a key."""

    async def unseal(self, key: str, value: bytes) -> bytes:
        """The value that was sealed. Raises Undecipherable."""

    def current(self, value: bytes) -> bool:
        """Whether `seal` would use the same key that a stored value was sealed with."""


class Cipher(Protocol):
    def seal(self, value: bytes, about: bytes) -> bytes: ...

    def unseal(self, value: bytes, about: bytes) -> bytes:
        """Raises ValueError where the value is not what this key made."""


class Identity:
    """Leaves values as they are, and reads none that were encrypted."""

    prefix = b""

    def seal(self, key: str, value: bytes) -> bytes:
        return value

    async def unseal(self, key: str, value: bytes) -> bytes:
        if value.startswith(SEALED):
            raise Undecipherable(f"{key} is encrypted ({label(value)}), and no provider that is configured for it "
                                 "has that key")
        return value

    def current(self, value: bytes) -> bool:
        return not value.startswith(SEALED)


class Keyed:
    """A provider with keys by name; the first one seals, all of them unseal."""

    def __init__(self, kind: str, make: Callable[[bytes], Cipher], keys: Sequence[tuple[str, bytes]]) -> None:
        self.prefix = SEALED + f"{kind}:v1:".encode()
        self._ciphers = [(self.prefix + f"{name}:".encode(), make(secret)) for name, secret in keys]

    def seal(self, key: str, value: bytes) -> bytes:
        mark, cipher = self._ciphers[0]
        return mark + cipher.seal(value, key.encode())

    async def unseal(self, key: str, value: bytes) -> bytes:
        for mark, cipher in self._ciphers:
            if value.startswith(mark):
                try:
                    return cipher.unseal(value[len(mark):], key.encode())
                except ValueError:
                    continue
        raise Undecipherable(f"{key} ({label(value)}) was not encrypted with a key that this server has, or was "
                             "changed; give the key with which it was written as --encryption-key-file or in "
                             "--encryption-provider-config")

    def current(self, value: bytes) -> bool:
        return value.startswith(self._ciphers[0][0])


class AesGcm:
    """AES in Galois/Counter mode, with a random nonce for each value."""

    def __init__(self, secret: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(secret)

    def seal(self, value: bytes, about: bytes) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, value, about)

    def unseal(self, value: bytes, about: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(value[:NONCE], value[NONCE:], about)
        except InvalidTag:
            raise ValueError("not what this key made") from None


class AesCbc:
    """AES in cipher block chaining mode. Nothing tells whether a value was changed: Kubernetes advises against it."""

    def __init__(self, secret: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers import algorithms

        self._algorithm = algorithms.AES(secret)

    def seal(self, value: bytes, about: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers import Cipher as Block
        from cryptography.hazmat.primitives.ciphers import modes

        start, padding = os.urandom(BLOCK), BLOCK - len(value) % BLOCK
        encryptor = Block(self._algorithm, modes.CBC(start)).encryptor()
        return start + encryptor.update(value + bytes([padding]) * padding) + encryptor.finalize()

    def unseal(self, value: bytes, about: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers import Cipher as Block
        from cryptography.hazmat.primitives.ciphers import modes

        if len(value) < 2 * BLOCK or len(value) % BLOCK:
            raise ValueError("not whole blocks")
        decryptor = Block(self._algorithm, modes.CBC(value[:BLOCK])).decryptor()
        padded = decryptor.update(value[BLOCK:]) + decryptor.finalize()
        padding = padded[-1]
        if not 1 <= padding <= BLOCK or padded[-padding:] != bytes([padding]) * padding:
            raise ValueError("not what this key made")
        return padded[:-padding]


class Secretbox:
    """XSalsa20 and Poly1305, by libsodium."""

    def __init__(self, secret: bytes) -> None:
        from nacl.secret import SecretBox

        self._box = SecretBox(secret)

    def seal(self, value: bytes, about: bytes) -> bytes:
        return bytes(self._box.encrypt(value))

    def unseal(self, value: bytes, about: bytes) -> bytes:
        from nacl.exceptions import CryptoError

        try:
            return bytes(self._box.decrypt(value))
        except CryptoError:
            raise ValueError("not what this key made") from None


def label(value: bytes) -> str:
    """What a stored value says of its provider and key: `k8s:enc:aesgcm:v1:a`."""
    return b":".join(value[:300].split(b":", 5)[:5]).decode("ascii", "replace")
