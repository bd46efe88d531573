"""ClusterRoles made of ClusterRoles: the rules of a role with an aggregationRule are those of the roles it selects.

The server itself keeps them: after each write of a ClusterRole it looks which aggregated roles ought to read
differently now, and writes those. (Kubernetes has a controller do this; here no other process is needed for it.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from timonier.api.selectors import Labels
from timonier.apiserver.request import Object


def gathered(role: Object, all_roles: Sequence[Object]) -> list[Object]:
    """The rules that an aggregated role ought to have, by name of the role that gives them, each once."""
    selectors = [Labels.of(selector) for selector in role["aggregationRule"].get("clusterRoleSelectors") or ()]
    sources = (other for other in sorted(all_roles, key=lambda other: str(other["metadata"]["name"]))
               if other["metadata"]["name"] != role["metadata"]["name"]
               and any(selector.matches(other["metadata"].get("labels") or {}) for selector in selectors))
    rules: list[Object] = []
    for rule in (rule for source in sources for rule in source.get("rules") or ()):
        if rule not in rules:
            rules.append(rule)
    return rules


def outdated(roles: Iterable[Object]) -> list[Object]:
    """The aggregated roles that ought to have other rules, with those rules; objects given are not changed."""
    everything = list(roles)
    wanted = [(role, gathered(role, everything)) for role in everything if role.get("aggregationRule")]
    return [{**role, "rules": rules} for role, rules in wanted if (role.get("rules") or []) != rules]
