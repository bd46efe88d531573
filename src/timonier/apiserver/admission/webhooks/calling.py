"""Asking one webhook: the question in the version of its rule, its answer, and what becomes of both.

An answer has three outcomes: it allows, with a patch perhaps; it refuses (`Denied`); or there is none that could be
used (`NotCalled`), and then the webhook's failure policy decides, which is the plugins' business.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from timonier.api.errors import ApiError, BadRequest, Cause, InternalError
from timonier.api.kinds import Kind
from timonier.api.patches.clone import clone
from timonier.apiserver.admission.webhooks.configured import Configured, Hook, Registry, in_namespace
from timonier.apiserver.admission.webhooks.counts import Counts
from timonier.apiserver.admission.webhooks.reviews import Denied, Shown, Unusable, Verdict, review, verdict, version_of
from timonier.apiserver.admission.webhooks.rules import Place
from timonier.apiserver.auth.decision import Authoriser
from timonier.apiserver.conversion import from_storage, is_view, to_storage
from timonier.apiserver.hooks import Hooks, NotAnswered
from timonier.apiserver.request import Attributes, Object
from timonier.apiserver.resources import Resources
from timonier.kit.clock import Clock

DEFAULT_SECONDS = 10


class NotCalled(InternalError):
    """No answer that could be used. What the user gets where the failure policy is Fail."""

    def __init__(self, webhook: str, why: str, code: int = 503) -> None:
        text = f'failed calling webhook "{webhook}": {why}'
        super().__init__(f"Internal error occurred: {text}", causes=[Cause("", "", text)])
        self.answered = code


@dataclass(frozen=True, slots=True)
class Invocation:
    """A webhook that a request concerns, and the place that its rules name."""

    hook: Hook
    place: Place


@dataclass
class Webhooks:
    """All that the two plugins share."""

    registry: Registry
    configured: Configured
    hooks: Hooks
    resources: Resources
    authoriser: Authoriser
    clock: Clock
    counts: Counts

    async def invocation(self, hook: Hook, attributes: Attributes, obj: Object | None, old: Object | None
                         ) -> Invocation | None:
        """How a webhook is to be asked about a request; None where it does not want to be."""
        place = hook.place(attributes, self.others(attributes))
        if place is None or not hook.selects(obj, old) \
                or not await in_namespace(self.registry, attributes, hook.namespaces, obj):
            return None
        if hook.conditions and not await self.conditions_hold(hook, place, attributes, obj, old):
            return None
        return Invocation(hook, place)

    async def conditions_hold(self, hook: Hook, place: Place, attributes: Attributes, obj: Object | None,
                              old: Object | None) -> bool:
        """Raises Forbidden where conditions fail and failures count."""
        from timonier.apiserver.admission.policies.situation import Situation
        from timonier.apiserver.admission.webhooks.conditions import hold

        situation = Situation(self.registry, self.resources, self.authoriser, attributes)
        shown = await self.shown(place, attributes, obj, old)
        return await hold(hook.conditions, situation, shown, ignore=hook.ignores_failure)

    def others(self, attributes: Attributes) -> Sequence[Kind]:
        """The other kinds by which the same objects are served."""
        kind = attributes.kind
        return () if kind is None else self.resources.views(kind)

    async def ask(self, found: Invocation, attributes: Attributes, obj: Object | None, old: Object | None, *,
                  mutating: bool) -> Verdict:
        """The webhook's verdict where it allows. Raises Denied, NotCalled, and BadRequest for an impossible dry run."""
        hook, started = found.hook, self.clock.monotonic()
        kind = "admit" if mutating else "validating"
        try:
            answer = await self._ask(found, attributes, obj, old, mutating=mutating)
        except Denied as error:
            self.counts.rejected(hook.name, kind, attributes.operation, "no_error", error.code)
            self.counts.called(hook.name, kind, attributes.operation, error.code, self.clock.monotonic() - started,
                               rejected=True)
            raise
        except NotCalled as error:
            if not hook.ignores_failure:
                self.counts.rejected(hook.name, kind, attributes.operation, "calling_webhook_error", error.answered)
            self.counts.called(hook.name, kind, attributes.operation, error.answered, self.clock.monotonic() - started,
                               rejected=not hook.ignores_failure)
            raise
        self.counts.called(hook.name, kind, attributes.operation, 200, self.clock.monotonic() - started)
        return answer

    async def _ask(self, found: Invocation, attributes: Attributes, obj: Object | None, old: Object | None, *,
                   mutating: bool) -> Verdict:
        hook, uid = found.hook, str(uuid.uuid4())
        if attributes.dry_run and not hook.without_effects:
            raise BadRequest(f'admission webhook "{hook.name}" does not support dry run')
        try:
            version = version_of(hook.spec.get("admissionReviewVersions") or ())
        except Unusable as error:
            raise NotCalled(hook.name, f"could not create admission objects: {error}", 400) from error
        question = review(version, uid, attributes, self.asked(attributes, obj),
                          await self.shown(found.place, attributes, obj, old))
        within = hook.spec.get("timeoutSeconds") or DEFAULT_SECONDS
        try:
            body = await self.hooks.post(hook.spec["clientConfig"], question, within)
        except NotAnswered as error:
            raise NotCalled(hook.name, f"failed to call webhook: {error}", error.code) from error
        try:
            answer = verdict(version, uid, body, mutating=mutating)
        except Unusable as error:
            raise NotCalled(hook.name, f"{error.prefix}: {error}") from error
        for key, value in answer.annotations.items():
            attributes.annotate(f"{hook.name}/{key}", value)
        for text in answer.warnings:
            attributes.warn(text)
        if not answer.allowed:
            raise Denied(hook.name, answer.result)
        return answer

    def asked(self, attributes: Attributes, obj: Object | None) -> tuple[str, str]:
        """apiVersion and kind of what the client wrote."""
        if foreign(attributes) and obj is not None:
            return obj["apiVersion"], obj["kind"]
        assert attributes.kind is not None
        return attributes.kind.apiVersion, attributes.kind.kind

    async def shown(self, place: Place, attributes: Attributes, obj: Object | None, old: Object | None) -> Shown:
        """The objects as the webhook's rule names them. Raises InternalError where they cannot be converted."""
        if foreign(attributes):
            apiVersion, kind = self.asked(attributes, obj)
            return Shown(place, apiVersion, kind, obj, old)
        row = self.row(place, attributes)
        both = [each and await whole(self.registry, row, each) for each in (obj, old)]
        return Shown(place, row.apiVersion, row.kind, *both)

    def row(self, place: Place, attributes: Attributes) -> Kind:
        found = self.resources.at(place.group, place.version, place.resource) or attributes.kind
        assert found is not None
        return found

    async def patched(self, found: Invocation, attributes: Attributes, obj: Object,
                      patch: Callable[[Object], Object]) -> Object:
        """The object with a webhook's patch, which was made for it as the webhook was shown it."""
        if foreign(attributes):
            return patch(clone(obj))
        row = self.row(found.place, attributes)
        wanted = row.shape.check(patch(await whole(self.registry, row, obj))).obj
        row.shape.default(wanted)
        return await unshown(self.registry, row, wanted, obj)


async def whole(registry: Registry, row: Kind, obj: Object) -> Object:
    """A copy of an object as a kind shows it, with the zero values that Go writes.

    Raises InternalError where it cannot be converted.
    """
    copy = clone(obj)
    shown = from_storage(row, copy) if is_view(row) else await converted(registry, row, copy, row.apiVersion)
    row.shape.fill(shown)
    return shown


async def unshown(registry: Registry, row: Kind, shown: Object, like: Object) -> Object:
    """What a kind shows in the version in which admission has it: that of the object that it was shown for."""
    if is_view(row):
        return to_storage(row, shown)
    return await converted(registry, row, shown, like.get("apiVersion", ""))


async def converted(registry: Registry, row: Kind, obj: Object, apiVersion: str) -> Object:
    if row.custom is None:
        return obj
    try:
        return await registry.views.converted(row, obj, apiVersion)
    except ApiError as error:
        raise InternalError(f"Internal error occurred: {error.message}") from error


def foreign(attributes: Attributes) -> bool:
    """Whether what is written is of another kind than the resource: a Scale, a Binding, the options of a connection."""
    row = attributes.kind.subresource(attributes.subresource) if attributes.kind and attributes.subresource else None
    return row is not None and bool(row.kind)
