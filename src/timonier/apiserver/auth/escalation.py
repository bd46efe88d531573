"""Which rights some rules hold that others do not: the arithmetic behind "nobody gives more than they have".

The check itself, when roles and bindings are written, is an admission plugin (`admission.escalation`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

from timonier.apiserver.auth.identity import listed
from timonier.apiserver.auth.rbac import EVERYTHING, Rule, url_matches

EVERYTHING_SET = frozenset({EVERYTHING})
EVERY_RESOURCE = Rule(EVERYTHING_SET, EVERYTHING_SET, EVERYTHING_SET)
EVERY_URL = Rule(EVERYTHING_SET, urls=(EVERYTHING,))


def uncovered(held: list[Rule], wanted: Iterable[Rule]) -> Iterator[Rule]:
    """The parts of some rules that others do not give, each with one verb, group, resource and name."""
    for rule in wanted:
        for part in parts(rule):
            if not any(covers(owner, part) for owner in held):
                yield part


def parts(rule: Rule) -> Iterator[Rule]:
    """A rule as rules that cannot be divided further."""
    for verb in sorted(rule.verbs):
        for url in rule.urls:
            yield Rule(frozenset({verb}), urls=(url,))
        for group, resource, name in itertools.product(sorted(rule.groups), sorted(rule.resources),
                                                       sorted(rule.names) or [""]):
            yield Rule(frozenset({verb}), frozenset({group}), frozenset({resource}),
                       frozenset({name} if name else ()))


def covers(owner: Rule, part: Rule) -> bool:
    """Whether a rule gives all that an undivided rule does."""
    if not contains(owner.verbs, part.verbs):
        return False
    if part.urls:
        return any(url_matches(url, part.urls[0]) for url in owner.urls)
    if not contains(owner.groups, part.groups):
        return False
    if owner.names and not (part.names and part.names <= owner.names):
        return False
    (resource,) = part.resources
    _, slash, subresource = resource.partition("/")
    return contains(owner.resources, part.resources) or bool(slash and f"*/{subresource}" in owner.resources)


def contains(owned: frozenset[str], wanted: frozenset[str]) -> bool:
    return EVERYTHING in owned or wanted <= owned


def compact(parts: Iterable[Rule]) -> list[Rule]:
    """Undivided rules with the verbs of one resource together again."""
    verbs: dict[Rule, frozenset[str]] = {}
    for part in parts:
        key = part if part.names or part.urls else replace(part, verbs=frozenset())
        verbs[key] = verbs.get(key, frozenset()) | part.verbs
    return [replace(rule, verbs=found) for rule, found in verbs.items()]


def describe(rule: Rule) -> str:
    """`{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`"""
    named = (("APIGroups", rule.groups), ("Resources", rule.resources), ("NonResourceURLs", rule.urls),
             ("ResourceNames", rule.names), ("Verbs", rule.verbs))
    return "{" + ", ".join(f"{name}:{listed(sorted(values))}" for name, values in named if values) + "}"
