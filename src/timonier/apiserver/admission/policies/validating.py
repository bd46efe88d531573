"""ValidatingAdmissionPolicy: what has to be true of a request, or else it is denied, warned of or noted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from timonier.api.cel.admission import Evaluation, match
from timonier.api.cel.costs import PER_OBJECT
from timonier.api.cel.values import Exhausted, Failure
from timonier.api.errors import ApiError, Cause
from timonier.apiserver.admission.contract import refuse
from timonier.apiserver.admission.policies.compiled import Binding, ValidatingPolicy, Validation
from timonier.apiserver.admission.policies.configured import Configured
from timonier.apiserver.admission.policies.matching import Matcher
from timonier.apiserver.admission.policies.plugins import VALIDATING, VALIDATING_BINDING, Policies
from timonier.apiserver.admission.policies.situation import Misconfigured
from timonier.apiserver.request import Attributes, Object

CODES = {"Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413, "Unauthorized": 401}
LONGEST_MESSAGE, LONGEST_ANNOTATION = 5 * 1024, 10 * 1024
NOTED = "validation.policy.admission.k8s.io/validation_failure"


@dataclass(frozen=True, slots=True)
class Denial:
    """What a policy has against a request. `index` is that of the validation."""

    message: str
    reason: str = ""
    index: int = 0


@dataclass
class Verdict:
    """What one evaluation of a policy found. `broken` are annotations that failed, which always deny."""

    denials: list[Denial] = field(default_factory=list)
    annotations: list[tuple[str, str]] = field(default_factory=list)
    broken: list[Denial] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    """Failures that the policy wants to be ignored."""


def judge(policy: ValidatingPolicy, bindings: dict[str, Any]) -> Verdict:
    """Evaluate a policy over the values of its variables. Pure, but for questions that the values ask."""
    composed = policy.composition.expressions
    ignore = policy.ignores_failure
    matched = match(policy.conditions, bindings, composed, ignore=ignore)
    if matched.error:
        return Verdict([Denial(matched.error)])
    if not matched.matches:
        return Verdict()
    try:
        verdict = Verdict()
        verdict.denials += violated(policy, Evaluation(bindings, composed, PER_OBJECT), verdict.ignored)
        annotate(policy, Evaluation(bindings, composed, PER_OBJECT), verdict)
    except Exhausted as error:
        return Verdict(ignored=[str(error)]) if ignore else Verdict([Denial(str(error))])
    return verdict


def violated(policy: ValidatingPolicy, evaluation: Evaluation, ignored: list[str]) -> Iterator[Denial]:
    """Validations that are not true. Raises Exhausted where the budget is spent."""
    results: list[bool | Failure] = []
    for validation in policy.validations:
        try:
            results.append(evaluation.value(validation.expression) is True)
        except Exhausted:
            raise
        except Failure as error:
            results.append(error)
    for index, (validation, result) in enumerate(zip(policy.validations, results, strict=True)):
        if isinstance(result, Failure):
            if policy.ignores_failure:
                ignored.append(str(result))
            else:
                yield Denial(str(result), "", index)
        elif not result:
            try:
                yield Denial(message(validation, evaluation), validation.spec.get("reason") or "Invalid", index)
            except Exhausted as error:
                raise Exhausted(f"failed messageExpression: {error}") from error


def message(validation: Validation, evaluation: Evaluation) -> str:
    """What is said: what the message's expression gives, or the message, or the expression that is not true.

    Raises Exhausted where nothing is left to evaluate it with.
    """
    text: Any = ""
    if validation.message is not None:
        try:
            text = evaluation.value(validation.message)
        except Exhausted:
            raise
        except Failure:
            text = ""
    text = text.strip() if isinstance(text, str) else ""
    if len(text.encode()) > LONGEST_MESSAGE or "\n" in text:
        text = ""
    spec = validation.spec
    return text or (spec.get("message") or "").strip() or f"failed expression: {spec['expression'].strip()}"


def annotate(policy: ValidatingPolicy, evaluation: Evaluation, verdict: Verdict) -> None:
    """What the policy wants in the audit log."""
    for key, expression in policy.annotations:
        try:
            value = evaluation.value(expression)
        except Exhausted:
            raise
        except Failure as error:
            if not policy.ignores_failure:
                verdict.broken.append(Denial(str(error)))
            continue
        if value is not None and (text := value.strip()):
            verdict.annotations.append((key, text.encode()[:LONGEST_ANNOTATION].decode(errors="ignore")))


def judged(plugin: Policies) -> Validating:
    """What judges requests by the policies that there are."""
    configured = Configured(plugin.registry, VALIDATING, VALIDATING_BINDING, ValidatingPolicy.of)
    return Validating(configured, Matcher.of(plugin))


@dataclass(frozen=True)
class Validating:
    configured: Configured[ValidatingPolicy]
    matcher: Matcher

    async def __call__(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        situation, refused = self.matcher.situation(attributes), list[ApiError]()
        for policy, bindings in self.configured.bound():
            try:
                place = await policy.constraints.place(self.matcher.registry, attributes, situation.others, obj, old)
            except ApiError as error:
                refused += self.misconfigured(policy, None, attributes, error.message, obj)
                continue
            if place is None:
                continue
            notes: dict[str, list[str]] = {}
            shown: tuple[Object | None, Object | None] | None = None
            for binding in bindings:
                try:
                    if not await self.matcher.concerned(binding, situation, obj, old):
                        continue
                    params = situation.params(policy, binding)
                except (ApiError, Misconfigured) as error:
                    refused += self.misconfigured(policy, binding, attributes, str(error), obj)
                    continue
                for each in params:
                    shown = shown or (await situation.shown(place, obj), await situation.shown(place, old))
                    values = situation.bindings(place, *shown, each)
                    started = self.matcher.clock.monotonic()
                    verdict = await situation.settled(partial(judge, policy, values))
                    took = self.matcher.clock.monotonic() - started
                    refused += self.enforced(policy, binding, verdict, took, attributes, obj)
                    for key, text in verdict.annotations:
                        if text not in notes.setdefault(key, []):
                            notes[key].append(text)
            for key, texts in notes.items():
                attributes.annotate(f"{policy.name}/{key}", ", ".join(texts))
        if refused:
            raise refused[0]

    def enforced(self, policy: ValidatingPolicy, binding: Binding, verdict: Verdict, took: float,
                 attributes: Attributes, obj: Object | None) -> Iterator[ApiError]:
        """Do with what a policy found what its binding says: the refusals that are among it."""
        count = partial(self.matcher.counts.validated, policy.name, binding.name)
        for failure in verdict.ignored:
            count(failure, "allow", took)
        for denial in verdict.denials:
            for action in binding.actions:
                count(denial.message, action.lower(), took)
                if action == "Deny":
                    yield denied(policy.name, binding.name, denial, attributes, obj)
                elif action == "Audit":
                    attributes.annotate(NOTED, orjson.dumps([{
                        "message": denial.message, "policy": policy.name, "binding": binding.name,
                        "expressionIndex": denial.index, "validationActions": list(binding.actions)}]).decode())
                else:
                    attributes.warn(f"Validation failed for ValidatingAdmissionPolicy '{policy.name}' with binding "
                                    f"'{binding.name}': {denial.message}")
        for denial in verdict.broken:
            count(denial.message, "deny", took)
            yield denied(policy.name, binding.name, denial, attributes, obj)

    def misconfigured(self, policy: ValidatingPolicy, binding: Binding | None, attributes: Attributes, why: str,
                      obj: Object | None) -> Iterator[ApiError]:
        if not policy.ignores_failure:
            what = "policy" if binding is None else "binding"
            yield denied(policy.name, binding.name if binding else "", Denial(f"failed to configure {what}: {why}"),
                         attributes, obj)


def denied(policy: str, binding: str, denial: Denial, attributes: Attributes, obj: Object | None) -> ApiError:
    bound = f" with binding '{binding}'" if binding else ""
    text = f"ValidatingAdmissionPolicy '{policy}'{bound} denied request: {denial.message}"
    error = refuse(attributes, text, obj)
    error.reason = denial.reason or "Invalid"
    error.code, error.causes = CODES.get(error.reason, 422), (Cause("", "", text),)
    return error
