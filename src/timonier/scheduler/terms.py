"""Terms about other pods: affinity, anti-affinity and topology spread, read from a spec into values fit to be keys.

`matchLabelKeys` and `mismatchLabelKeys` are folded into the selectors here, with the labels of the pod that holds them.
Source: Kubernetes documentation, "Assigning Pods to Nodes", "Pod Topology Spread Constraints".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from timonier.api.selectors import Labels, Requirement, conjunction
from timonier.api.types import core_v1

NamespaceLabels = Mapping[str, Mapping[str, str]]
Everywhere = None
Namespaces = frozenset[str] | None
"""Names; None is every namespace."""


@dataclass(frozen=True, slots=True)
class PodGroup:
    """The pods of some namespaces that match a selector; of one controller, where `owner` is its uid.

    `leaving` says whether pods that are being deleted still belong to it.
    """

    namespaces: Namespaces
    labels: Labels
    leaving: bool = True
    owner: str = ""

    def has(self, namespace: str, labels: Mapping[str, str], *, leaving: bool = False, owner: str = "") -> bool:
        return ((self.namespaces is None or namespace in self.namespaces) and (self.leaving or not leaving)
                and (not self.owner or owner == self.owner) and self.labels.matches(labels))


@dataclass(frozen=True, slots=True)
class PodTerm:
    """Pods that a pod wants near or far, and how near: nodes with the same value of `topologyKey`."""

    namespaces: Namespaces
    chosen_by: Labels | None
    """A namespaceSelector, whose namespaces join those named."""
    labels: Labels
    topologyKey: str

    def group(self, namespaces: NamespaceLabels) -> PodGroup:
        if self.chosen_by is None:
            return PodGroup(self.namespaces, self.labels)
        if self.chosen_by.empty:
            return PodGroup(Everywhere, self.labels)
        chosen = {name for name, labels in namespaces.items() if self.chosen_by.matches(labels)}
        return PodGroup(frozenset(chosen | (self.namespaces or set())), self.labels)


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """At most `maxSkew` more matching pods in a domain than in the emptiest one."""

    topologyKey: str
    maxSkew: int
    hard: bool
    group: PodGroup
    minDomains: int
    honor_affinity: bool
    honor_taints: bool


def pod_term(term: core_v1.PodAffinityTerm, namespace: str, labels: Mapping[str, str]) -> PodTerm:
    chosen_by = None if term.namespaceSelector is None else Labels.of(term.namespaceSelector)
    named = frozenset(term.namespaces)
    if not named and chosen_by is None:
        named = frozenset({namespace})
    added = conjunction([narrowed("in", term.matchLabelKeys, labels),
                         narrowed("notin", term.mismatchLabelKeys, labels)])
    return PodTerm(named, chosen_by, with_more(Labels.of(term.labelSelector), added), term.topologyKey)


def spread_constraint(constraint: core_v1.TopologySpreadConstraint, namespace: str,
                      labels: Mapping[str, str]) -> SpreadConstraint:
    selector = with_more(Labels.of(constraint.labelSelector), narrowed("in", constraint.matchLabelKeys, labels))
    return SpreadConstraint(constraint.topologyKey, constraint.maxSkew,
                            constraint.whenUnsatisfiable != "ScheduleAnyway",
                            PodGroup(frozenset({namespace}), selector, leaving=False), constraint.minDomains or 1,
                            constraint.nodeAffinityPolicy != "Ignore", constraint.nodeTaintsPolicy == "Honor")


def default_spread(namespace: str, owner: str) -> tuple[SpreadConstraint, ...]:
    """Soft constraints of pods that have none and belong to a controller: Kubernetes's system defaults."""
    group = PodGroup(frozenset({namespace}), Labels(), leaving=False, owner=owner)
    return tuple(SpreadConstraint(key, skew, False, group, 1, True, False)
                 for key, skew in (("kubernetes.io/hostname", 3), ("topology.kubernetes.io/zone", 5)))


def narrowed(operator: str, keys: Iterable[str], labels: Mapping[str, str]) -> Labels:
    """The holder's own labels as requirements; keys that it does not have do not count."""
    return Labels(tuple(Requirement(key, operator, (labels[key],)) for key in keys if key in labels))


def with_more(labels: Labels, more: Labels) -> Labels:
    return labels if labels.nothing or not more.requirements else conjunction([labels, more])


def required(terms: Iterable[core_v1.PodAffinityTerm], namespace: str,
             labels: Mapping[str, str]) -> tuple[PodTerm, ...]:
    return tuple(pod_term(term, namespace, labels) for term in terms)


def preferred(terms: Iterable[core_v1.WeightedPodAffinityTerm], namespace: str, labels: Mapping[str, str],
              sign: int) -> tuple[tuple[int, PodTerm], ...]:
    return tuple((sign * term.weight, pod_term(term.podAffinityTerm, namespace, labels)) for term in terms)
