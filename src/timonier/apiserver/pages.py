"""HTML pages that are shown from below another path: their links, so that they lead back below it. Pure.

An application behind a proxy links to `/style.css`; its reader has to ask for `/api/v1/…/proxy/style.css`. Links to
other hosts and relative ones stay as they are. Scripts and styles are not looked into.
Source: Kubernetes documentation, "Accessing Services via the API server's proxy"; HTML, "Attributes".
"""

from __future__ import annotations

import gzip
import html
import re
import zlib
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit, urlunsplit

LINKS: dict[str, tuple[str, ...]] = {
    "a": ("href",), "applet": ("codebase",), "area": ("href",), "audio": ("src",), "base": ("href",),
    "blockquote": ("cite",), "body": ("background",), "button": ("formaction",), "command": ("icon",), "del": ("cite",),
    "embed": ("src",), "form": ("action",), "frame": ("longdesc", "src"), "head": ("profile",), "html": ("manifest",),
    "iframe": ("longdesc", "src"), "img": ("longdesc", "src", "usemap"), "input": ("formaction", "src", "usemap"),
    "ins": ("cite",), "link": ("href",), "object": ("classid", "codebase", "data", "usemap"), "q": ("cite",),
    "script": ("src",), "source": ("src",), "video": ("poster", "src"),
}
"""Attributes that hold a URL, by element."""
RAW = frozenset({"script", "style", "textarea", "title", "xmp"})
"""Elements whose content is text, whatever it looks like."""
TAG = re.compile(r"<!--.*?-->|<([A-Za-z][A-Za-z0-9]*)((?:\"[^\"]*\"|'[^']*'|[^'\">])*)>", re.DOTALL)
ATTRIBUTE = re.compile(r"([^\s\"'>/=]+)(\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+)")
UNPACKED: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "": (bytes, bytes), "identity": (bytes, bytes), "gzip": (gzip.decompress, gzip.compress),
    "deflate": (zlib.decompress, zlib.compress)}
"""How a page is unpacked and packed again, by its Content-Encoding."""


def is_page(headers: Mapping[str, str]) -> bool:
    """Whether an answer is a page that can be looked into."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "text/html" and \
        headers.get("content-encoding", "").strip().lower() in UNPACKED


def below(prefix: str, hosts: frozenset[str], headers: Mapping[str, str], body: bytes) -> bytes:
    """A page whose absolute links lead below a prefix; `hosts` are names of the application's own host."""
    unpack, pack = UNPACKED[headers.get("content-encoding", "").strip().lower()]
    try:
        text = unpack(body).decode("utf-8", "surrogateescape")
    except (OSError, EOFError, zlib.error):
        return body  # it says that it is packed, and is not: the reader has to see that
    return pack(linked(text, lambda url: moved(url, prefix, hosts)).encode("utf-8", "surrogateescape"))


def linked(text: str, move: Callable[[str], str]) -> str:
    """A page with every link moved."""
    pieces, at = [], 0
    while (found := TAG.search(text, at)) is not None:
        pieces.append(text[at:found.start()])
        name, at = (found[1] or "").lower(), found.end()
        links = LINKS.get(name, ())
        pieces.append(ATTRIBUTE.sub(lambda each: attribute(each, links, move), found[0]) if links else found[0])  # noqa: B023
        if name in RAW:
            end = text.lower().find(f"</{name}", at)
            end = len(text) if end < 0 else end
            pieces.append(text[at:end])
            at = end
    return "".join((*pieces, text[at:]))


def attribute(found: re.Match[str], links: tuple[str, ...], move: Callable[[str], str]) -> str:
    """An attribute, its link moved where it is one."""
    name, sign, quoted = found.groups()
    if name.lower() not in links:
        return found[0]
    value = html.unescape(quoted[1:-1] if quoted[0] in "\"'" else quoted)
    changed = move(value)
    return found[0] if changed == value else f'{name}{sign}"{html.escape(changed)}"'


def moved(url: str, prefix: str, hosts: frozenset[str]) -> str:
    """Where a link has to lead: one to a path of the application's own host leads below the prefix."""
    try:
        scheme, host, path, query, fragment = urlsplit(url)
    except ValueError:
        return url
    if (host and host not in hosts) or (scheme and not host) or not path.startswith("/"):
        return url
    if not path.startswith(prefix):
        path = prefix + path
    return urlunsplit(("", "", path, query, fragment))
