"""MutatingAdmissionWebhook: webhooks that change objects, one after the other in the order of their names.

Where one changes the object, those before it with reinvocationPolicy IfNeeded are asked a second time, and so is every
built-in plugin. Source: KEP "Mutating admission webhook reinvocation".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from timonier.api.errors import ApiError, InternalError
from timonier.api.patches.clone import clone
from timonier.api.patches.json_patch import json_patch
from timonier.apiserver.admission.contract import Plugin
from timonier.apiserver.admission.webhooks.calling import Invocation, NotCalled, Webhooks
from timonier.apiserver.admission.webhooks.configured import Hook, exempt
from timonier.apiserver.request import SERVER, Attributes, Object

NAME = "MutatingAdmissionWebhook"
MUTATION, PATCH = "mutation.webhook.admission.k8s.io/", "patch.webhook.admission.k8s.io/"
IF_NEEDED = "IfNeeded"


@dataclass
class Memory:
    """What is kept from the first passage for the second."""

    left: Object | None = None
    """The object as webhooks left it."""
    asked: set[str] = field(default_factory=set)
    """Webhooks that were asked and want to be again if something changes."""
    again: set[str] = field(default_factory=set)
    """Those for which something did change."""

    def changed(self) -> None:
        self.again |= self.asked
        self.asked.clear()


@dataclass(frozen=True)
class MutatingWebhooks(Plugin):
    webhooks: Webhooks

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return not exempt(group, resource)

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        hooks = self.webhooks.configured.hooks()
        if not hooks or attributes.user is SERVER:
            return
        memory: Memory = attributes.passage.memory.setdefault(NAME, Memory())
        if attributes.passage.second and memory.left != obj:
            memory.changed()
        for index, hook in enumerate(hooks):
            found = await self.webhooks.invocation(hook, attributes, obj, old)
            if found is None or (attributes.passage.second and hook.uid not in memory.again):
                continue
            if await self.ask(found, index, attributes, obj, old):
                memory.changed()
                attributes.passage.wanted = True
            if hook.spec.get("reinvocationPolicy") == IF_NEEDED:
                memory.asked.add(hook.uid)
        if not attributes.passage.second:
            memory.left = clone(obj)

    async def ask(self, found: Invocation, index: int, attributes: Attributes, obj: Object | None,
                  old: Object | None) -> bool:
        """Ask a webhook and do what it wants; whether that changed the object."""
        hook, changed = found.hook, False
        key = f"round_{int(attributes.passage.second)}_index_{index}"
        try:
            answer = await self.webhooks.ask(found, attributes, obj, old, mutating=True)
            if answer.patch:
                changed = await self.apply(found, attributes, obj, answer.patch)
                attributes.annotate(PATCH + key, noted(hook, patch=answer.patch, patchType="JSONPatch"), "Request")
        except NotCalled:
            if not hook.ignores_failure:
                raise
            self.webhooks.counts.let_through(hook.name, "admit")
            attributes.annotate(f"failed-open.{MUTATION}{key}", hook.name)
        finally:
            attributes.annotate(MUTATION + key, noted(hook, mutated=changed))
        return changed

    async def apply(self, found: Invocation, attributes: Attributes, obj: Object | None, patch: list[Any]) -> bool:
        """Patch the object in place; whether that made a difference. Raises InternalError for an impossible patch."""
        if obj is None:
            raise InternalError(f'Internal error occurred: admission webhook "{found.hook.name}" attempted to modify '
                                "the object, which is not supported for this operation")
        try:
            wanted = await self.webhooks.patched(found, attributes, obj, lambda shown: json_patch(shown, patch))
        except ApiError as error:
            raise InternalError(f"Internal error occurred: {reason(error)}") from error
        unpatched = await self.webhooks.patched(found, attributes, obj, lambda shown: shown)
        if wanted == unpatched:
            return False
        obj.clear()
        obj.update(wanted)
        return True


def noted(hook: Hook, **facts: Any) -> str:
    """What the audit log keeps about a webhook."""
    return orjson.dumps({"configuration": hook.configuration, "webhook": hook.name} | facts).decode()


def reason(error: ApiError) -> str:
    return error.causes[0].message if error.causes else error.message
