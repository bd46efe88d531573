"""nftables in this process: libnftables through ctypes, so that a change costs what the kernel takes, not a process.

A context belongs to the network namespace in which it was made, whichever thread uses it later. What the rules mean is
the caller's business.
"""

from __future__ import annotations

import ctypes
import json
import threading
from typing import Any

from timonier.kit.fatal import CannotRun

LIBRARY = "libnftables.so.1"
ECHO_JSON = 1 << 4


class NftablesMissing(CannotRun, OSError):
    """The library is not on this machine; the message says which package brings it."""


class NftablesError(OSError):
    """The kernel or the parser refused a transaction, of which nothing was applied."""


class Nftables:
    """A connection to nftables in the current network namespace. Safe to use from several threads, one at a time."""

    def __init__(self) -> None:
        self._library = load()
        self._lock = threading.Lock()
        self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        if not self._context:
            raise NftablesError("cannot open nftables: is this process allowed to administer the network?")
        self._library.nft_ctx_buffer_error(self._context)
        self._library.nft_ctx_buffer_output(self._context)

    def apply(self, commands: str) -> None:
        """Run commands in nft's own language as one transaction: all of them, or none and NftablesError."""
        self._run(commands, flags=0)

    def read(self, command: str) -> list[dict[str, Any]]:
        """What a `list` command finds, as libnftables-json(5) describes it, without the leading metainfo."""
        found: list[dict[str, Any]] = json.loads(self._run(command, flags=ECHO_JSON) or '{"nftables": []}')["nftables"]
        return [entry for entry in found if "metainfo" not in entry]

    def close(self) -> None:
        with self._lock:
            if self._context:
                self._library.nft_ctx_free(self._context)
                self._context = ctypes.c_void_p()

    def _run(self, commands: str, flags: int) -> str:
        with self._lock:
            if not self._context:
                raise NftablesError("nftables was closed")
            self._library.nft_ctx_output_set_flags(self._context, flags)
            failed = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
            output = self._library.nft_ctx_get_output_buffer(self._context).decode()
            complaint = self._library.nft_ctx_get_error_buffer(self._context).decode()
        if failed:
            raise NftablesError(complaint.strip()[:2000] or "nftables refused without a reason")
        return str(output)


def load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise NftablesMissing(f"{LIBRARY} is not on this machine: apt-get install libnftables1") from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    return library
