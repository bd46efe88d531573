"""Streams that a test opens are closed after it."""

from support.streams import links

__all__ = ["links"]
