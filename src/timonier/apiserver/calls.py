"""Asking somebody else over HTTP, as a kubeconfig file says: webhooks of authentication, authorisation and admission.

A question is one JSON object that is posted, the answer another. What fails in passing is tried again after a pause,
which grows; all of it is bounded, since a request of a client waits for it.
Source: Kubernetes documentation, "Webhook Mode"; apiserver/pkg/util/webhook, whose figures these are.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from timonier.kit import http
from timonier.kit.clock import Clock, Seconds
from timonier.kit.http import Connections, Disconnected, HttpError, TimedOut
from timonier.kit.kubeconfig import ClientConfig, load

FIRST_PAUSE: Seconds = 0.5
GROWTH, JITTER, TRIES = 1.5, 0.2, 5
PASSING = frozenset({429, 500, 504})
"""Statuses after which the same question may be answered a moment later."""


class NoAnswer(Exception):
    """Nothing usable was answered in time; the message says what happened."""


@dataclass
class Webhook:
    """One address that is asked. `limit` bounds a question with all its tries, `once` a single one."""

    config: ClientConfig
    clock: Clock
    connections: Connections
    limit: Seconds = 30.0
    once: Seconds = 10.0
    tries: int = TRIES
    pause: Seconds = FIRST_PAUSE
    """After the first try; it grows."""

    @classmethod
    def from_file(cls, path: Path, clock: Clock, *, limit: Seconds = 30.0,
                  pause: Seconds = FIRST_PAUSE) -> Webhook:
        """By the current context of a kubeconfig file. Raises CannotRun (ConfigError)."""
        config = load(path)
        connections = Connections(config.ssl_context(), server_name=config.server_name or None)
        return cls(config, clock, connections, limit=limit, once=min(limit, 10.0), pause=pause)

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The object that is answered. Raises NoAnswer."""
        body = orjson.dumps(question)
        try:
            async with asyncio.timeout(self.limit):
                return await self._until_answered(body)
        except TimeoutError as error:
            raise NoAnswer(f"no answer within {self.limit:g} s") from error

    async def _until_answered(self, body: bytes) -> dict[str, Any]:
        pause = self.pause
        for left in reversed(range(self.tries)):
            try:
                response = await self.connections.request("POST", self.config.server, self._headers(), body,
                                                          within=self.once)
            except (Disconnected, TimedOut) as error:
                problem = str(error)
            except (HttpError, OSError, ValueError) as error:
                raise NoAnswer(str(error)) from error
            else:
                if response.status not in PASSING and "retry-after" not in response.headers:
                    return answered(response)
                problem = f"it answered {response.status}"
                pause = max(pause, told_to_wait(response))
            if not left:
                break
            await self.clock.sleep(pause * (1 + random.random() * JITTER))
            pause *= GROWTH
        raise NoAnswer(problem)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        token = self.config.token
        if self.config.token_file is not None:
            try:
                token = self.config.token_file.read_text().strip()
            except OSError as error:
                raise NoAnswer(f"cannot read its token: {error}") from error
        return headers | ({"Authorization": f"Bearer {token}"} if token else {})


def answered(response: http.Response) -> dict[str, Any]:
    if not 200 <= response.status < 300:
        raise NoAnswer(f"it answered {response.status}")
    try:
        found = orjson.loads(response.body)
    except ValueError as error:
        raise NoAnswer("what it answered is not JSON") from error
    if not isinstance(found, dict):
        raise NoAnswer("what it answered is not an object")
    return found


def told_to_wait(response: http.Response) -> Seconds:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdigit() and len(text) < 4 else 0.0
