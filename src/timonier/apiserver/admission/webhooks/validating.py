"""ValidatingAdmissionWebhook: webhooks that refuse, all asked at the same time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from timonier.api.errors import ApiError
from timonier.apiserver.admission.contract import Plugin
from timonier.apiserver.admission.webhooks.calling import Invocation, NotCalled, Webhooks
from timonier.apiserver.admission.webhooks.configured import exempt
from timonier.apiserver.request import SERVER, Attributes, Object

FAILED_OPEN = "failed-open.validating.webhook.admission.k8s.io/"


@dataclass(frozen=True)
class ValidatingWebhooks(Plugin):
    webhooks: Webhooks

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return not exempt(group, resource)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Raises what the first webhook that refuses has to say, once all have answered."""
        hooks = self.webhooks.configured.hooks()
        if not hooks or attributes.user is SERVER:
            return
        found = [each for hook in hooks if (each := await self.webhooks.invocation(hook, attributes, obj, old))]
        if len(found) == 1:
            refused = [await self.ask(found[0], 0, attributes, obj, old)]
        else:
            refused = await asyncio.gather(*(self.ask(each, index, attributes, obj, old)
                                             for index, each in enumerate(found)))
        for error in refused:
            if error is not None:
                raise error

    async def ask(self, found: Invocation, index: int, attributes: Attributes, obj: Object | None,
                  old: Object | None) -> ApiError | None:
        """Why a webhook refuses, or why that it could not be asked is as good as that."""
        try:
            await self.webhooks.ask(found, attributes, obj, old, mutating=False)
        except NotCalled as error:
            if not found.hook.ignores_failure:
                return error
            self.webhooks.counts.let_through(found.hook.name, "validating")
            attributes.annotate(f"{FAILED_OPEN}round_0_index_{index}", found.hook.name)
        except ApiError as error:
            return error
        return None
