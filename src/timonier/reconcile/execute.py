"""Carrying out a plan: its writes in order, at most a few at a time, each one's success or failure kept.

Creations begin with one and double with each batch that succeeds, so that a quota or an admission rule that refuses all
of them is asked once, not a thousand times (Kubernetes calls it slow start).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from timonier.api import errors
from timonier.client.client import Client
from timonier.client.wire import Object, Partial, kind_of
from timonier.kit.http import HttpError
from timonier.reconcile.plan import Delete, Outcome, Patch, Plan, Reference

W = TypeVar("W")

AT_ONCE = 16
"""Writes of one plan that are under way at the same time."""


class StillThere(errors.ApiError):
    """Something that a plan takes for gone exists: the plan is void."""

    code, reason = 409, "Conflict"


class NoAnswer(errors.ApiError):
    """The server did not answer; whether the write took effect is unknown."""

    code, reason = 503, "ServiceUnavailable"


async def execute(client: Client, plan: Plan, manager: str) -> Outcome:
    """Carry out the writes of a plan up to the first that fails; `then` is not followed. Raises StillThere.

    `manager` owns what is applied.
    """
    for reference in plan.absent:
        await confirm_absent(client, reference)
    outcome = Outcome()
    await create(client, plan.create, outcome)
    steps: list[tuple[Sequence[Any], Callable[[Any], Awaitable[None]]]] = [
        (plan.update, lambda obj: update(client, obj, outcome)),
        (plan.patch, lambda each: patch(client, each, outcome)),
        (plan.apply, lambda obj: apply(client, obj, manager, outcome)),
        (plan.delete, lambda each: delete(client, each, outcome)),
        ([plan.finalize] if plan.finalize else [], lambda obj: update(client, obj, outcome, "finalize")),
        ([plan.status] if plan.status else [], lambda obj: update(client, obj, outcome, "status")),
    ]
    for writes, write in steps:
        if not outcome.failed:
            await together(writes, write, outcome)
    return outcome


async def confirm_absent(client: Client, reference: Reference) -> None:
    try:
        found = await client.get(Partial, reference.name, reference.namespace, kind=reference.kind)
    except errors.NotFound:
        return
    if not reference.uid or found.metadata.uid == reference.uid:
        raise StillThere(f"{reference.kind.resource} {reference.namespace}/{reference.name} exists")


async def create(client: Client, objects: Sequence[Object], outcome: Outcome) -> None:
    """Create in batches of 1, 2, 4, …; after a batch with a failure, nothing more."""
    async def one(obj: Object) -> None:
        outcome.created.append(await client.create(obj))

    size, rest = 1, [*objects]
    while rest and not outcome.failed:
        batch, rest = rest[:size], rest[size:]
        await together(batch, one, outcome)
        size = min(size * 2, AT_ONCE)


async def update(client: Client, obj: Object, outcome: Outcome, subresource: str = "") -> None:
    outcome.updated.append(await client.update(obj, subresource=subresource))


async def patch(client: Client, each: Patch, outcome: Outcome) -> None:
    outcome.updated.append(await client.patch(
        each.cls, each.name, each.namespace, each.patch, subresource=each.subresource, kind_of_patch=each.media_type,
        kind=each.kind))


async def apply(client: Client, obj: Object, manager: str, outcome: Outcome) -> None:
    outcome.updated.append(await client.apply(obj, manager=manager, force=True))


async def delete(client: Client, each: Delete, outcome: Outcome) -> None:
    """What is gone already counts as deleted."""
    with contextlib.suppress(errors.NotFound):
        await client.delete(each.cls, each.name, each.namespace, uid=each.uid, resourceVersion=each.resourceVersion,
                            propagation=each.propagation, grace=each.grace, kind=each.kind or kind_of(each.cls))
    outcome.deleted.append(each)


async def together(writes: Sequence[W], write: Callable[[W], Awaitable[None]], outcome: Outcome) -> None:
    """All of them, `AT_ONCE` at a time; failures go into the outcome."""
    async def attempt(each: W) -> None:
        try:
            await write(each)
        except errors.ApiError as error:
            outcome.failed.append((each, error))  # type: ignore[arg-type]
        except HttpError as error:
            outcome.failed.append((each, NoAnswer(str(error))))  # type: ignore[arg-type]

    if len(writes) == 1:
        await attempt(writes[0])
        return
    for start in range(0, len(writes), AT_ONCE):
        async with asyncio.TaskGroup() as group:
            for each in writes[start:start + AT_ONCE]:
                group.create_task(attempt(each), name="write")
