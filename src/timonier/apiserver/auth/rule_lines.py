"""The short form of rules in which the default policy is written.

A rule is a line: verbs, API groups, resources, and perhaps resource names after a colon. `core` is the group without a
name; a line whose group is `url` is about paths. `READ`, `WRITE`, `CHANGE` and `ANY` stand for several verbs, `EVENTS`
is a whole rule.
"""

from __future__ import annotations

from timonier.apiserver.request import Object

VERBS = {
    "READ": ["get", "list", "watch"],
    "WRITE": ["create", "delete", "deletecollection", "patch", "update"],
    "CHANGE": ["patch", "update"],
    "ANY": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    "EVERY": ["*"],
}
EVENTS = "create,CHANGE core,events.k8s.io events"


def rules(text: str) -> list[Object]:
    """PolicyRules from lines of the form that the module's docstring tells."""
    return [rule(line) for line in text.strip().splitlines()]


def rule(line: str) -> Object:
    """One PolicyRule; its lists are sorted, as a reader of `kubectl describe` wants them."""
    what, _, names = line.partition(" : ")
    verbs, groups, *targets = what.split()
    result: Object = {"verbs": expand(verbs)}
    if groups == "url":
        return result | {"nonResourceURLs": sorted(targets)}
    result |= {"apiGroups": sorted("" if group == "core" else group for group in groups.split(",")),
               "resources": sorted(targets)}
    return result | ({"resourceNames": sorted(names.split())} if names else {})


def expand(verbs: str) -> list[str]:
    return sorted({verb for word in verbs.split(",") for verb in VERBS.get(word, [word])})
