"""Talking to a cluster's API server from the steps: one event loop a call, and errors that a user can act on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from timonier.api.errors import ApiError
from timonier.client.client import Client
from timonier.cluster import identities
from timonier.cluster.spec import ClusterError, ClusterSpec
from timonier.kit.http import HttpError

T = TypeVar("T")

PAUSE = 0.02
"""Seconds between two looks at something that is about to happen."""


def call(spec: ClusterSpec, action: Callable[[Client], Awaitable[T]], *, limit: float) -> T:
    """What `action` returns, given a client of the cluster's administrator.

    Raises ClusterError after `limit` seconds, or where the API server cannot be reached.
    """

    async def bounded() -> T:
        async with Client(identities.administrator(spec), name="timonier-cluster") as client:
            return await asyncio.wait_for(action(client), limit)

    try:
        return asyncio.run(bounded())
    except TimeoutError as error:
        raise ClusterError(f"cluster {spec.name} did not get there within {limit:.0f} s; see why: timonier status "
                           f"--name {spec.name}; timonier logs --name {spec.name} apiserver") from error
    except (HttpError, OSError) as error:
        raise ClusterError(f"the API server of cluster {spec.name} cannot be reached: {error}") from error


async def until_ready(client: Client) -> None:
    """Return once the API server says that it is ready."""

    async def answers() -> bool:
        try:
            await client.raw("GET", "/readyz", accept="*/*", attempts=1)
        except (HttpError, ApiError, OSError):
            return False
        return True

    await until(answers)


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Look again and again until a condition holds. Its limit is that of the call around it."""
    while not await condition():  # noqa: ASYNC110 - nothing tells us when it holds
        await asyncio.sleep(PAUSE)
