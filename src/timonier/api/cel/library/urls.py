"""URLs: parsed as Go's `url.ParseRequestURI` does, which wants them absolute."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import parse_qsl, quote

from timonier.api.cel import types
from timonier.api.cel.costs import ONE, Scan
from timonier.api.cel.functions import function, method
from timonier.api.cel.types import BOOL, STRING, Type
from timonier.api.cel.values import Failure

URL = Type("kubernetes.URL")
TYPES = [URL]
SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]*):(.*)", re.DOTALL)
BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})(.{0,2})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Url:
    """The parts of a URL, escaped as they were written; `host` has the port."""

    scheme: str
    host: str
    path: str
    query: str
    cel_type: ClassVar[Type] = URL
    cel_equality: ClassVar[int] = 1

    @property
    def hostname(self) -> str:
        if self.host.startswith("["):
            return self.host[1:].partition("]")[0]
        return self.host.partition(":")[0]

    @property
    def port(self) -> str:
        after = self.host.rpartition("]")[2] if self.host.startswith("[") else self.host
        return after.partition(":")[2]


def parse_url(text: str) -> Url:
    """Raises ValueError in Go's words."""
    def wrong(why: str) -> ValueError:
        return ValueError(f'parse "{text}": {why}')
    if not text:
        raise wrong("empty url")
    if any(letter < " " or letter == "\x7f" for letter in text):
        raise wrong("net/url: invalid control character in URL")
    found = SCHEME.fullmatch(text)
    scheme, rest = (found[1].lower(), found[2]) if found else ("", text)
    if not found and text[0] == ":":
        raise wrong("missing protocol scheme")
    if (not found and text[0] != "/") or (found and not rest.startswith("/")):
        if not found and ":" in text.partition("/")[0]:
            raise wrong("first path segment in URL cannot contain colon")
        raise wrong("invalid URI for request")
    rest = rest.partition("#")[0]
    host, (rest, _, query) = "", rest.partition("?")
    if rest.startswith("//") and (found or not rest.startswith("///")):
        host, slash, path = rest[2:].partition("/")
        rest = slash + path
    host = host.rpartition("@")[2]
    problem = host_problem(host)
    if problem:
        raise wrong(problem)
    if bad := BAD_ESCAPE.search(rest):
        raise wrong(f'invalid URL escape "{bad.group()}"')
    return Url(scheme, host, rest, query)


def host_problem(host: str) -> str:
    if host.startswith("["):
        _, bracket, after = host[1:].partition("]")
        if not bracket:
            return "missing ']' in host"
        port = after
    else:
        name, colon, number = host.partition(":")
        port = colon + number
        for letter in name:
            if letter in ' "<>\\^`{|}':
                return f'invalid character "{letter}" in host name'
    if port and not re.fullmatch(r":\d*", port, re.ASCII):
        return f'invalid port "{port}" after host'
    return ""


def to_url(text: str) -> Url:
    try:
        return parse_url(text)
    except ValueError as error:
        raise Failure(f"URL parse error during conversion from string: {error}") from None


def is_url(text: str) -> bool:
    try:
        parse_url(text)
    except ValueError:
        return False
    return True


def escaped_path(url: Url) -> str:
    """The path as it was written, with what may not stand in a URL escaped."""
    return quote(url.path, safe="/%$&+,:;=@!~*'()-._")


def query(url: Url) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in parse_qsl(url.query, keep_blank_values=True):
        found.setdefault(key, []).append(value)
    return found


FUNCTIONS = [
    function("url", "string_to_url", [STRING], URL, to_url, Scan(keeps=True)),
    function("isURL", "is_url_string", [STRING], BOOL, is_url, ONE),
    method("getScheme", "url_get_scheme", [URL], STRING, lambda url: url.scheme),
    method("getHost", "url_get_host", [URL], STRING, lambda url: url.host),
    method("getHostname", "url_get_hostname", [URL], STRING, lambda url: url.hostname),
    method("getPort", "url_get_port", [URL], STRING, lambda url: url.port),
    method("getEscapedPath", "url_get_escaped_path", [URL], STRING, escaped_path),
    method("getQuery", "url_get_query", [URL], types.map_of(STRING, types.list_of(STRING)), query),
]
