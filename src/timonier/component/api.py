"""The endpoint as an ASGI application: health for everybody, metrics and configuration for whom the API server lets.

Source: kube-controller-manager and kube-scheduler, ports 10257 and 10259. Somebody who shows nothing is
`system:anonymous`, as there, and what is refused is said as a Status.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import msgspec

from timonier.api.errors import ApiError, MethodNotAllowed, NotFound
from timonier.client.counts import render as render_requests
from timonier.component import health, metrics
from timonier.component.answers import JSON, Call, Send
from timonier.component.shown import Shown

HEALTH = ("healthz", "livez", "readyz")


class Guard(Protocol):
    """Who decides whether a request may be answered."""

    async def check(self, call: Call) -> None:
        """Raises ApiError unless it may."""


@dataclass
class ComponentApi:
    """`kit.serve.serve` calls it for each request. The guard is made for the first who asks for what is guarded."""

    shown: Shown
    make_guard: Callable[[], Guard]

    @cached_property
    def guard(self) -> Guard:
        return self.make_guard()

    async def __call__(self, scope: Mapping[str, Any], receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
                       send: Send) -> None:
        call = Call.of(scope, send)
        try:
            await self._answer(call)
        except ApiError as error:
            headers = {"allow": "GET, HEAD"} if isinstance(error, MethodNotAllowed) else None
            await call.answer(error.code, msgspec.json.encode(error.status()), JSON, headers)

    async def _answer(self, call: Call) -> None:
        if call.method not in ("GET", "HEAD"):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        match call.path.strip("/").split("/"):
            case [endpoint] if endpoint in HEALTH:
                await self._health(call, endpoint)
            case [endpoint, check] if endpoint in HEALTH:
                await self.guard.check(call)
                await self._one_check(call, endpoint, check)
            case ["metrics"]:
                await self.guard.check(call)
                lines = [line for each in [*self.shown.metrics.values()] for line in each()]
                lines += render_requests(self.shown.clients)
                await call.answer(200, "\n".join([*lines, ""]).encode() + metrics.of_process(), metrics.TYPE)
            case ["configz"]:
                await self.guard.check(call)
                await call.json(self.shown.configuration)
            case _:
                raise NotFound("the server could not find the requested resource")

    async def _health(self, call: Call, endpoint: str) -> None:
        status, text = health.report(endpoint, self._wrong(endpoint), call.query.get("exclude", ()),
                                     verbose="verbose" in call.query)
        await call.text(text, status)

    async def _one_check(self, call: Call, endpoint: str, check: str) -> None:
        wrong = self._wrong(endpoint)
        if check not in wrong:
            raise NotFound("the server could not find the requested resource")
        status, text = health.report(endpoint, {check: wrong[check]}, verbose="verbose" in call.query)
        await call.text(text, status)

    def _wrong(self, endpoint: str) -> dict[str, str]:
        """Readiness is more than life: a process that waits for the API server is not to be ended for it."""
        unready = self.shown.unready if endpoint == "readyz" else {}
        return {"ping": "", **unready}
