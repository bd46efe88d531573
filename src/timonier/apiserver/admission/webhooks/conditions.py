"""Match conditions of webhooks: expressions that keep a webhook from being asked.

Loaded with the first condition, and with it the language of expressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from timonier.api.cel.admission import Expression, conditions, environment, match
from timonier.apiserver.admission.contract import refuse
from timonier.apiserver.admission.policies.situation import Situation
from timonier.apiserver.admission.webhooks.reviews import Shown
from timonier.apiserver.request import Object


def compiled(spec: Object) -> Sequence[Expression]:
    """The conditions of a webhook."""
    return conditions(spec["matchConditions"], environment())


async def hold(found: Sequence[Expression], situation: Situation, shown: Shown, *, ignore: bool) -> bool:
    """Whether conditions let a request through. Raises Forbidden where that cannot be said and failures count."""
    values = situation.bindings(shown.place, shown.obj, shown.old, None)
    matched = await situation.settled(partial(match, found, values, {}, ignore=ignore))
    if matched.error:
        raise refuse(situation.attributes, matched.error, shown.obj)
    return matched.matches
