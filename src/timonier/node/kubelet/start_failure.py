"""Why a container could not be started, in the words of its status."""

from __future__ import annotations

from timonier.kit.clock import Seconds

RETRY: Seconds = 10


class NotStarted(Exception):
    """`reason` and `message` become the container's waiting state; it is tried again after `retry` seconds."""

    def __init__(self, reason: str, message: str, retry: Seconds = RETRY) -> None:
        super().__init__(message)
        self.reason, self.message, self.retry = reason, message, retry
