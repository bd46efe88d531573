"""Which providers a key's value is for: the first entry of the configuration that names the key's resource."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from timonier.apiserver.encryption.ciphers import SEALED, Identity, Provider, Undecipherable, label
from timonier.apiserver.encryption.kms import Kms
from timonier.apiserver.objects import PRIVATE

UNNAMED: tuple[Provider, ...] = (Identity(),)


@dataclass(frozen=True, slots=True)
class Entry:
    """Resources (`secrets`, `*.apps`, `*.` for those without a group, `*.*`), and their providers in order."""

    resources: tuple[str, ...]
    providers: tuple[Provider, ...]

    def names(self, resource: str) -> bool:
        _, dot, group = resource.partition(".")
        return resource in self.resources or "*.*" in self.resources or f"*.{group if dot else ''}" in self.resources


@dataclass(frozen=True, slots=True)
class Scheme:
    """All entries of a configuration, in order."""

    entries: Sequence[Entry]
    _known: dict[str, tuple[Provider, ...]] = field(default_factory=dict)

    def providers(self, key: str) -> tuple[Provider, ...]:
        """The providers of a storage key, such as `/secrets/default/a`."""
        resource = key[1:key.find("/", 1)]
        found = self._known.get(resource)
        if found is None:
            # What the server claims for itself is no object of any resource.
            entry = None if key.startswith(PRIVATE) else \
                next((each for each in self.entries if each.names(resource)), None)
            found = self._known[resource] = UNNAMED if entry is None else entry.providers
        return found

    def seal(self, key: str, value: bytes) -> bytes:
        return self.providers(key)[0].seal(key, value)

    def is_plain(self, key: str, value: bytes) -> bool:
        """Whether a stored value needs no provider: it is not encrypted, and need not be."""
        return not value.startswith(SEALED) and any(not each.prefix for each in self.providers(key))

    async def unseal(self, key: str, value: bytes) -> bytes:
        """The value of a key. Raises Undecipherable, naming the key."""
        for provider in self.providers(key):
            if value.startswith(provider.prefix):
                return await provider.unseal(key, value)
        how = f"encrypted ({label(value)})" if value.startswith(SEALED) else "not encrypted"
        raise Undecipherable(f"{key} is {how}, and no provider that is configured for it reads that")

    def current(self, key: str, value: bytes) -> bool:
        """Whether a stored value is as it would be written now."""
        return self.providers(key)[0].current(value)

    def services(self) -> list[Kms]:
        """The key management services that have to be asked first."""
        found = {id(each): each for entry in self.entries for each in entry.providers if isinstance(each, Kms)}
        return list(found.values())
