"""Documents that the server makes from its own tables: discovery and OpenAPI.

A document is made when first asked for and then kept as bytes, compressed where it is large, with a strong ETag over
its content. How a request's `Accept`, `Accept-Encoding` and `If-None-Match` choose among its forms is decided here, for
all of them alike; what stands in a document is not.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

JSON = "application/json"
LARGE = 64 * 1024
"""From this size on (bytes), only the compressed form is kept in memory."""


class Answer(NamedTuple):
    """What goes over the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Document:
    """Content with its media type. `packed` is gzip where `compressed`, the plain bytes otherwise."""

    media_type: str
    etag: str
    packed: bytes = field(repr=False)
    compressed: bool = False

    @classmethod
    def of(cls, content: bytes, media_type: str = JSON) -> Document:
        etag = hashlib.sha512(content).hexdigest().upper()
        if len(content) < LARGE:
            return cls(media_type, etag, content)
        return cls(media_type, etag, gzip.compress(content, 6, mtime=0), compressed=True)

    @classmethod
    def of_json(cls, value: Any, media_type: str = JSON) -> Document:
        return cls.of(orjson.dumps(value), media_type)

    def content(self) -> bytes:
        return gzip.decompress(self.packed) if self.compressed else self.packed

    def answer(self, headers: Mapping[str, str]) -> Answer:
        """The response to a request with these (lower-case) headers: 304 where the client has this very content."""
        common = [("etag", f'"{self.etag}"'), ("vary", "Accept, Accept-Encoding")]
        if has_etag(headers.get("if-none-match", ""), self.etag):
            return Answer(304, common, b"")
        common.append(("content-type", self.media_type))
        if self.compressed and accepts_gzip(headers.get("accept-encoding", "")):
            return Answer(200, [*common, ("content-encoding", "gzip")], self.packed)
        return Answer(200, common, self.content())


def has_etag(if_none_match: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags


def accepts_gzip(accept_encoding: str) -> bool:
    for choice in accept_encoding.split(","):
        name, _, quality = choice.partition(";")
        if name.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class Clause(NamedTuple):
    """One media type of an Accept header, with its parameters."""

    media_type: str
    parameters: dict[str, str]


def accepted(accept: str) -> list[Clause]:
    """The clauses of an Accept header, best and most particular first; empty where the client has no wish."""
    ranked = []
    for order, text in enumerate(part for part in accept.split(",") if part.strip()):
        media_type, *rest = (piece.strip() for piece in text.split(";"))
        parameters = {key.strip(): value.strip() for key, _, value in (piece.partition("=") for piece in rest)}
        ranked.append((-weight(parameters.pop("q", "1")), media_type.count("*"), order,
                       Clause(media_type.lower(), parameters)))
    return [clause for quality, _, _, clause in sorted(ranked, key=lambda item: item[:3]) if quality < 0]


def weight(quality: str) -> float:
    try:
        return float(quality)
    except ValueError:
        return 1.0


def takes(clause: Clause, media_type: str) -> bool:
    """Whether a clause covers a media type, by wildcards too."""
    kind = media_type.partition("/")[0]
    return clause.media_type in (media_type, "*/*", f"{kind}/*")


def choose(accept: str, offered: Sequence[str]) -> str | None:
    """The offer that an Accept header likes best: the first where it has no wish, None where it likes none."""
    clauses = accepted(accept)
    if not clauses:
        return offered[0]
    return next((offer for clause in clauses for offer in offered if takes(clause, offer)), None)
