"""Large answers are compressed for clients that take it, as kube-apiserver does; watches never are."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping

from timonier.apiserver.documents import Answer, accepts_gzip

LARGE = 128 * 1024
"""Bytes from which on it pays."""
LEVEL = 1
GZIP = 16
"""What makes zlib write a gzip header, added to its window bits."""


async def compressed(answer: Answer, headers: Mapping[str, str]) -> Answer:
    """The answer to a request with these (lower-case) headers. Other requests are served meanwhile."""
    if len(answer.body) <= LARGE or not accepts_gzip(headers.get("accept-encoding", "")):
        return answer
    body = await asyncio.to_thread(pack, answer.body)
    return Answer(answer.status, [*answer.headers, ("content-encoding", "gzip"), ("vary", "Accept-Encoding")], body)


def pack(body: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | GZIP)
    return packer.compress(body) + packer.flush()
