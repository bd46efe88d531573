"""Objects in protobuf: the form in which programs written in Go speak to the API server.

`fields.txt` is the table of all messages, `fields` reads it; `encode` and `decode` translate between a message and the
object that its JSON would be, `special` those messages whose JSON looks different; `envelope` wraps an object so that
it says what it is, and frames the events of watches. All pure. Which clients get protobuf is not decided here.
Source: Kubernetes API concepts, "Alternate representations of resources"; the Protocol Buffers encoding guide.
"""

from __future__ import annotations

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"


class BadProtobuf(ValueError):
    """The bytes are not such an object; the text says why."""


class NotInProtobuf(LookupError):
    """There is no message for the kind."""
