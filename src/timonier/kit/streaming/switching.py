"""The head of an answer by which an HTTP/1.1 connection becomes something else."""

from __future__ import annotations

from collections.abc import Mapping

OF_THIS_HOP = frozenset({"connection", "date", "content-length", "transfer-encoding"})


def switching(headers: Mapping[str, str]) -> bytes:
    """An answer with status 101 and these headers, less those that belong to the connection they came from."""
    named = {"Connection": "Upgrade"}
    named |= {name.title(): value for name, value in headers.items() if name.lower() not in OF_THIS_HOP}
    lines = ["HTTP/1.1 101 Switching Protocols", *(f"{name}: {value}" for name, value in named.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
