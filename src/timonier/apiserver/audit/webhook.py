"""Audit events to a webhook: EventLists by POST, sent again where the other side has trouble."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from timonier.kit import kubeconfig
from timonier.kit.clock import Clock, Seconds
from timonier.kit.http import Connections, HttpError

log = logging.getLogger(__name__)

HEAD, TAIL = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[', b"]}"
TRIES = 5
GROWTH = 1.5
ANSWER_SECONDS: Seconds = 30.0


class Webhook:
    """A sink. Raises ConfigError where its kubeconfig cannot be used."""

    def __init__(self, config: Path, backoff: Seconds, clock: Clock) -> None:
        self._config = kubeconfig.load(config)
        self._connections = Connections(self._config.ssl_context(), server_name=self._config.server_name or None,
                                        timeout=ANSWER_SECONDS)
        self._backoff, self._clock = backoff, clock

    async def deliver(self, events: Sequence[bytes]) -> None:
        """Send events. Raises OSError where the other side does not take them, try after try."""
        pause, why = self._backoff, ""
        for attempt in range(TRIES):
            if attempt:
                await self._clock.sleep(pause)
                pause *= GROWTH
            why, hopeless = await self._send(HEAD + b",".join(events) + TAIL)
            if not why:
                return
            if hopeless:
                break
        raise OSError(f"{self._config.server}: {why}")

    async def _send(self, body: bytes) -> tuple[str, bool]:
        """What went wrong (nothing, if it is empty), and whether it would go wrong again."""
        headers = {"Content-Type": "application/json"}
        if self._config.token:
            headers["Authorization"] = f"Bearer {self._config.token}"
        try:
            response = await self._connections.request("POST", self._config.server, headers, body)
        except HttpError as error:
            return str(error), False
        if 200 <= response.status < 300:
            return "", False
        return f"answered with {response.status}", response.status < 500 and response.status != 429

    async def close(self) -> None:
        await self._connections.close()
