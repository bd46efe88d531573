"""HTML pages that are shown from below another path."""

from __future__ import annotations

import gzip

import pytest

from timonier.apiserver.pages import below, is_page, moved

PREFIX = "/api/v1/namespaces/default/pods/web:80/proxy"
HOSTS = frozenset({"10.0.0.1:80", "api.example.com"})


@pytest.mark.parametrize(("url", "expected"), [
    pytest.param("/rewriteme", f"{PREFIX}/rewriteme", id="absolute-path"),
    pytest.param("/a/?q=1#top", f"{PREFIX}/a/?q=1#top", id="query-and-fragment"),
    pytest.param("style.css", "style.css", id="relative"),
    pytest.param("//cdn.example.org/x.js", "//cdn.example.org/x.js", id="another-host"),
    pytest.param("https://example.org/x", "https://example.org/x", id="another-host-with-scheme"),
    pytest.param("http://10.0.0.1:80/x", f"{PREFIX}/x", id="its-own-host"),
    pytest.param("https://api.example.com/x", f"{PREFIX}/x", id="the-host-that-was-asked"),
    pytest.param(f"{PREFIX}/x", f"{PREFIX}/x", id="below-it-already"),
    pytest.param("mailto:a@b", "mailto:a@b", id="no-path"), pytest.param("#top", "#top", id="fragment-alone"),
    pytest.param("http://[", "http://[", id="no-url")])
def test_a_link_leads_below_the_prefix_where_it_is_the_applications_own(url: str, expected: str) -> None:
    assert moved(url, PREFIX, HOSTS) == expected


@pytest.mark.parametrize(("page", "expected"), [
    pytest.param('<a href="/rewriteme">test</a>', f'<a href="{PREFIX}/rewriteme">test</a>', id="link"),
    pytest.param("<img alt='x>y' src=/x.png>", f'<img alt=\'x>y\' src="{PREFIX}/x.png">', id="unquoted"),
    pytest.param('<p title="/x">', '<p title="/x">', id="no-link"),
    pytest.param('<A HREF="/x?a=1&amp;b=2">', f'<A HREF="{PREFIX}/x?a=1&amp;b=2">', id="upper-case-and-entities"),
    pytest.param('<!-- <a href="/x"> -->', '<!-- <a href="/x"> -->', id="comment"),
    pytest.param('<script src="/x.js">"<a href=\'/y\'>"</script><a href="/z">',
                 f'<script src="{PREFIX}/x.js">"<a href=\'/y\'>"</script><a href="{PREFIX}/z">', id="script"),
    pytest.param('<a href="/x', '<a href="/x', id="unfinished")])
def test_links_of_a_page_are_moved_and_nothing_else(page: str, expected: str) -> None:
    assert below(PREFIX, HOSTS, {}, page.encode()).decode() == expected


def test_a_packed_page_is_packed_again() -> None:
    packed = below(PREFIX, HOSTS, {"content-encoding": "gzip"}, gzip.compress(b'<a href="/x">'))
    assert gzip.decompress(packed) == f'<a href="{PREFIX}/x">'.encode()
    assert below(PREFIX, HOSTS, {"content-encoding": "gzip"}, b"not packed") == b"not packed"


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    assert below(PREFIX, HOSTS, {}, b'\xff<a href="/x">\xfe') == b'\xff<a href="' + PREFIX.encode() + b'/x">\xfe'


def test_only_html_is_a_page() -> None:
    assert is_page({"content-type": "text/html; charset=utf-8"})
    assert not is_page({"content-type": "text/plain"})
    assert not is_page({"content-type": "text/html", "content-encoding": "br"})
