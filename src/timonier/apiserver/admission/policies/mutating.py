"""MutatingAdmissionPolicy: expressions that make a patch of a request's object, one policy after the other by name.

Where a policy changed the object, those before it with reinvocationPolicy IfNeeded are asked a second time, as webhooks
are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from timonier.api.cel.admission import Evaluation, match
from timonier.api.cel.costs import PER_OBJECT
from timonier.api.cel.values import Failure
from timonier.api.errors import ApiError, Cause, InternalError, ServiceUnavailable
from timonier.api.kinds import Kind
from timonier.api.patches.clone import clone
from timonier.apiserver.admission.contract import refuse
from timonier.apiserver.admission.policies.compiled import Binding, MutatingPolicy
from timonier.apiserver.admission.policies.configured import Configured
from timonier.apiserver.admission.policies.matching import Matcher
from timonier.apiserver.admission.policies.patching import Unpatchable, patched
from timonier.apiserver.admission.policies.plugins import MUTATING, MUTATING_BINDING, Policies
from timonier.apiserver.admission.policies.situation import Misconfigured, Situation
from timonier.apiserver.admission.webhooks.calling import foreign, unshown
from timonier.apiserver.admission.webhooks.rules import Place
from timonier.apiserver.request import Attributes, Object

NAME = "MutatingAdmissionPolicy"
Key = tuple[str, str, str, str]
"""Policy, binding, and namespace and name of the parameter."""


@dataclass
class Memory:
    """What is kept from the first passage for the second."""

    left: Object | None = None
    """The object as policies left it."""
    asked: set[Key] = field(default_factory=set)
    again: set[Key] = field(default_factory=set)

    def changed(self) -> None:
        self.again |= self.asked
        self.asked.clear()


@dataclass(frozen=True)
class Invocation:
    """A policy that a request concerns, with one binding and one parameter."""

    policy: MutatingPolicy
    binding: Binding
    place: Place
    params: Object | None

    @property
    def key(self) -> Key:
        metadata = (self.params or {}).get("metadata", {})
        return self.policy.name, self.binding.name, metadata.get("namespace", ""), metadata.get("name", "")


class Refused(Exception):
    """A policy that could not be carried out."""


def changed(plugin: Policies) -> Mutating:
    """What changes objects by the policies that there are."""
    configured = Configured(plugin.registry, MUTATING, MUTATING_BINDING, MutatingPolicy.of)
    return Mutating(configured, Matcher.of(plugin))


@dataclass(frozen=True)
class Mutating:
    configured: Configured[MutatingPolicy]
    matcher: Matcher

    async def __call__(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if obj is None:
            return
        memory: Memory = attributes.passage.memory.setdefault(NAME, Memory())
        if attributes.passage.second and memory.left != obj:
            memory.changed()
        situation, refused = self.matcher.situation(attributes), list[ApiError]()
        for found in await self.invocations(situation, obj, old, refused):
            try:
                await self.invoke(found, situation, obj, old, memory)
            except Refused as error:
                refused += self.failed(found.policy, found.binding, attributes, str(error), obj)
        if refused:
            raise refused[0]
        memory.left = clone(obj)

    async def invocations(self, situation: Situation, obj: Object, old: Object | None,
                          refused: list[ApiError]) -> list[Invocation]:
        """What concerns a request, before anything is changed."""
        found = []
        for policy, bindings in self.configured.bound():
            place = await policy.constraints.place(self.matcher.registry, situation.attributes, situation.others, obj,
                                                   old)
            if place is None:
                continue
            for binding in bindings:
                try:
                    if await self.matcher.concerned(binding, situation, obj, old):
                        params = situation.params(policy, binding)
                        found += [Invocation(policy, binding, place, each) for each in params]
                except (ApiError, Misconfigured) as error:
                    refused += self.failed(policy, binding, situation.attributes,
                                           f"failed to configure binding: {error}", obj)
        return found

    async def invoke(self, found: Invocation, situation: Situation, obj: Object, old: Object | None,
                     memory: Memory) -> None:
        """Carry a policy out on the object, in place. Raises Refused."""
        row = situation.row(found.place)
        if row is None:
            raise ServiceUnavailable(f"Resource kind {found.place.resource} not found. There can be a delay between "
                                     "when CustomResourceDefinitions are created and when they are available.")
        shown = await situation.shown(found.place, obj)
        assert shown is not None
        was = await situation.shown(found.place, old)
        if not await self.wanted(found, situation, situation.bindings(found.place, shown, was, found.params)):
            return
        if situation.attributes.passage.second and found.key not in memory.again:
            return
        made = shown
        for index in range(len(found.policy.mutations)):
            values = situation.bindings(found.place, made, was, found.params)
            made = await self.timed(found, situation, partial(self.mutated, found.policy, index, values, row, made))
        if made != shown:
            await self.put(obj, made, situation, row)
            memory.changed()
            situation.attributes.passage.wanted = True
        if found.policy.wants_again:
            memory.asked.add(found.key)

    async def timed(self, found: Invocation, situation: Situation, mutate: Callable[[], Object]) -> Object:
        """Carry out one mutation, and count it."""
        started, failure = self.matcher.clock.monotonic(), ""
        try:
            return await situation.settled(mutate)
        except Refused as error:
            failure = str(error)
            raise
        finally:
            took = self.matcher.clock.monotonic() - started
            self.matcher.counts.mutated(found.policy.name, found.binding.name, failure, took)

    async def wanted(self, found: Invocation, situation: Situation, values: dict[str, Any]) -> bool:
        policy = found.policy
        matched = await situation.settled(partial(match, policy.conditions, values, policy.composition.expressions,
                                                  ignore=policy.ignores_failure))
        if matched.error:
            raise Refused(matched.error)
        return matched.matches

    def mutated(self, policy: MutatingPolicy, index: int, values: dict[str, Any], row: Kind, shown: Object) -> Object:
        """The object with one mutation, defaulted. Raises Refused."""
        mutation = policy.mutations[index]
        evaluation = Evaluation(values, policy.composition.expressions, PER_OBJECT)
        try:
            patch = evaluation.value(mutation.expression)
            made = row.shape.check(patched(mutation.patch_type, patch, row, clone(shown))).obj
        except (Failure, Unpatchable) as error:
            raise Refused(str(error)) from error
        except ApiError as error:
            raise InternalError(f"Internal error occurred: {error.message}") from error
        row.shape.default(made)
        return made

    async def put(self, obj: Object, made: Object, situation: Situation, row: Kind) -> None:
        wanted = made if foreign(situation.attributes) else await unshown(situation.registry, row, made, obj)
        obj.clear()
        obj.update(wanted)

    def failed(self, policy: MutatingPolicy, binding: Binding, attributes: Attributes, why: str,
               obj: Object) -> Iterator[ApiError]:
        """The refusal of a policy that could not be carried out, unless its failures are to be ignored."""
        if policy.ignores_failure:
            return
        text = f"policy '{policy.name}' with binding '{binding.name}' denied request: {why}"
        error = refuse(attributes, text, obj)
        error.code, error.reason, error.causes = 422, "Invalid", (Cause("", "", text),)
        yield error
