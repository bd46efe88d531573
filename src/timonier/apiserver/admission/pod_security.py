"""PodSecurity: namespaces say by labels which Pod Security Standard their pods have to meet, and in what sense.

Pods are refused by what is enforced; pods and what has a template of them are warned of, and noted in the audit log, by
the other two modes. Who is exempt is a setting. Source: Kubernetes documentation, "Pod Security Admission".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from timonier.api.errors import invalid
from timonier.api.kinds import BY_ID
from timonier.api.podsecurity.evaluate import violations
from timonier.api.podsecurity.pods import Pod, Violation
from timonier.api.podsecurity.policy import LATEST, LEVELS, MODES, PREFIX, PRIVILEGED, Policy, Standard, policy_of
from timonier.apiserver.admission.configuration import Document
from timonier.apiserver.admission.contract import CREATE, UPDATE, Plugin, Registry, name_of, refuse
from timonier.apiserver.meters import Labels, counter
from timonier.apiserver.request import Attributes, Object

if TYPE_CHECKING:
    from prometheus_client import Metric

NAMESPACE, POD = BY_ID["v1/Namespace"], BY_ID["v1/Pod"]
TEMPLATES = {
    ("", "replicationcontrollers"): ("spec", "template"), ("", "podtemplates"): ("template",),
    ("apps", "replicasets"): ("spec", "template"), ("apps", "deployments"): ("spec", "template"),
    ("apps", "statefulsets"): ("spec", "template"), ("apps", "daemonsets"): ("spec", "template"),
    ("batch", "jobs"): ("spec", "template"), ("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template"),
}
"""Where the pods of a resource are described."""
IGNORED = frozenset({"exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"})
"""Subresources of pods that change nothing of what is judged."""
PODS_LOOKED_AT = 3000
SERVER_MINOR = 37
CONFIGURATION, CONFIGURATION_GROUP = "PodSecurityConfiguration", "pod-security.admission.config.k8s.io"
EXEMPT = ("usernames", "namespaces", "runtimeClasses")


@dataclass(frozen=True, slots=True)
class Exemptions:
    """What is judged by no standard."""

    usernames: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()


def configured(document: Document) -> tuple[Policy, Exemptions]:
    """Defaults and exemptions of a PodSecurityConfiguration. Raises CannotRun."""
    if not document.content:
        return Policy(), Exemptions()
    content = document.checked(CONFIGURATION, (CONFIGURATION_GROUP,))
    defaults, exemptions = content.get("defaults") or {}, content.get("exemptions") or {}
    document.known(defaults, {name for mode in MODES for name in (mode, f"{mode}-version")}, "defaults.")
    document.known(exemptions, EXEMPT, "exemptions.")
    policy, wrong = policy_of({f"{PREFIX}{name}": str(value) for name, value in defaults.items()}, Policy())
    if wrong:
        raise document.wrong(f"defaults: {wrong[0].message}")
    return policy, Exemptions(*(frozenset(exemptions.get(name) or ()) for name in EXEMPT))


@dataclass
class Counts:
    """What has been decided, under Kubernetes's metric names."""

    evaluations: dict[Labels, int] = field(default_factory=lambda: defaultdict(int))
    exemptions: dict[Labels, int] = field(default_factory=lambda: defaultdict(int))
    errors: dict[Labels, int] = field(default_factory=lambda: defaultdict(int))

    def evaluated(self, decision: str, standard: Standard, mode: str, attributes: Attributes) -> None:
        minor = standard.version.removeprefix("v1.")
        version = LATEST if standard.version == LATEST or minor == str(SERVER_MINOR) else \
            "future" if int(minor) > SERVER_MINOR else standard.version
        self.evaluations[decision, standard.level, version, mode, *about(attributes)] += 1

    def families(self) -> Iterator[Metric]:
        where = ("request_operation", "resource", "subresource")
        yield counter("pod_security_evaluations_total", "Pods judged, by decision.",
                      ("decision", "policy_level", "policy_version", "mode", *where), self.evaluations.items())
        yield counter("pod_security_exemptions_total", "Requests that no standard is held against.", where,
                      self.exemptions.items())
        yield counter("pod_security_errors_total", "Namespaces whose labels cannot be read.", ("fatal", *where),
                      self.errors.items())


def about(attributes: Attributes) -> Labels:
    pods = attributes.resource == "pods"
    return attributes.operation.lower(), "pod" if pods else "controller", attributes.subresource


@dataclass(frozen=True)
class PodSecurity(Plugin):
    registry: Registry
    defaults: Policy = field(default_factory=Policy)
    exempt: Exemptions = field(default_factory=Exemptions)
    counts: Counts = field(default_factory=Counts)

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        if operation not in (CREATE, UPDATE):
            return False
        if (group, resource) == ("", "pods"):
            return subresource not in IGNORED
        return not subresource and ((group, resource) in TEMPLATES or (group, resource) == ("", "namespaces"))

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Raises Forbidden for a pod that violates what is enforced, Invalid for labels that cannot be read."""
        assert obj is not None
        if not attributes.group and attributes.resource == "namespaces":
            self.namespace(attributes, obj, old)
            return
        found = self.registry.peek(NAMESPACE, "", attributes.namespace) \
            or await self.registry.get(NAMESPACE, "", attributes.namespace)
        policy, wrong = policy_of(found["metadata"].get("labels") or {}, self.defaults)
        if wrong:
            attributes.annotate(f"{PREFIX}error", f"Failed to parse policy: {'; '.join(map(str, wrong))}")
            self.counts.errors["false", *about(attributes)] += 1
        pods = attributes.resource == "pods"
        if policy.free:
            if pods:
                self.counts.evaluated("allow", policy.enforce, "enforce", attributes)
            return
        pod = Pod(obj["metadata"], obj["spec"]) if pods else template_of(attributes, obj)
        if pod is None or (pods and old is not None and not significant(obj, old)) or self.exempted(attributes, pod):
            return
        self.judge(attributes, policy, pod, obj)

    def exempted(self, attributes: Attributes, pod: Pod) -> bool:
        """Whether nothing is demanded of a pod, because of where it is, who writes it, or what runs it."""
        exempt = self.exempt
        reason = "namespace" if attributes.namespace in exempt.namespaces else \
            "user" if attributes.user.name in exempt.usernames else \
            "runtimeClass" if pod.spec.get("runtimeClassName") in exempt.runtime_classes else ""
        if reason:
            attributes.annotate(f"{PREFIX}exempt", reason)
            self.counts.exemptions[about(attributes)] += 1
        return bool(reason)

    def judge(self, attributes: Attributes, policy: Policy, pod: Pod, obj: Object) -> None:
        if attributes.resource == "pods":
            attributes.annotate(f"{PREFIX}enforce-policy", str(policy.enforce))
            found = violations(policy.enforce, pod)
            self.counts.evaluated("deny" if found else "allow", policy.enforce, "enforce", attributes)
            if found:
                self.note(attributes, policy.audit, pod)
                raise refuse(attributes, f'violates PodSecurity "{policy.enforce}": {told(found)}', obj)
        self.note(attributes, policy.audit, pod)
        if found := violations(policy.warn, pod):
            attributes.warn(f'would violate PodSecurity "{policy.warn}": {told(found)}')
            self.counts.evaluated("deny", policy.warn, "warn", attributes)

    def note(self, attributes: Attributes, audit: Standard, pod: Pod) -> None:
        """Tell the audit log of what a pod violates."""
        if found := violations(audit, pod):
            attributes.annotate(f"{PREFIX}audit-violations", f'would violate PodSecurity "{audit}": {told(found)}')
            self.counts.evaluated("deny", audit, "audit", attributes)

    def namespace(self, attributes: Attributes, obj: Object, old: Object | None) -> None:
        """Labels have to be right, and what is there already is looked at by a new, stricter standard."""
        policy, wrong = policy_of(obj["metadata"].get("labels") or {}, self.defaults)
        before, wrong_before = policy_of((old or {}).get("metadata", {}).get("labels") or {}, self.defaults)
        name = name_of(obj)
        if wrong and wrong != wrong_before:
            raise invalid("", "Namespace", name, wrong)
        if name in self.exempt.namespaces:
            if not policy.free and policy != before:
                attributes.warn(f'namespace "{name}" is exempt from Pod Security, and the policy '
                                f"(enforce={policy.enforce}, audit={policy.audit}, warn={policy.warn}) will be ignored")
        elif old is not None and stricter(policy.enforce, before.enforce):
            for warning in self.look_at(name, policy.enforce):
                attributes.warn(warning)

    def look_at(self, namespace: str, enforce: Standard) -> Iterator[str]:
        """What is said of the pods that a namespace has already."""
        pods = prioritised(self.registry.peek_all(POD, namespace))
        if len(pods) > PODS_LOOKED_AT:
            yield f"new PodSecurity enforce level only checked against the first {PODS_LOOKED_AT} of {len(pods)} " \
                  "existing pods"
        reasons: dict[str, list[str]] = defaultdict(list)
        for pod in pods[:PODS_LOOKED_AT]:
            if pod["spec"].get("runtimeClassName") not in self.exempt.runtime_classes:
                found = violations(enforce, Pod(pod["metadata"], pod["spec"]))
                if found:
                    reasons[", ".join(each.reason for each in found)].append(pod["metadata"]["name"])
        if reasons:
            yield f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{enforce}"'
        yield from sorted(f"{min(names)}{others(len(names) - 1)}: {why}" for why, names in reasons.items())


def told(found: Sequence[Violation]) -> str:
    return ", ".join(map(str, found))


def others(count: int) -> str:
    return "" if not count else " (and 1 other pod)" if count == 1 else f" (and {count} other pods)"


def stricter(new: Standard, old: Standard) -> bool:
    """Whether there may be pods that the old standard allowed and the new one does not."""
    if new == old or new.level == PRIVILEGED:
        return False
    return new.version != old.version or LEVELS.index(new.level) > LEVELS.index(old.level)


def prioritised(pods: Sequence[Object]) -> list[Object]:
    """One pod of each controller first: the others are as it is."""
    first, rest, seen = list[Object](), list[Object](), set[str]()
    for pod in pods:
        owners = pod["metadata"].get("ownerReferences") or ()
        owner = next((each["uid"] for each in owners if each.get("controller")), "")
        (rest if owner and owner in seen else first).append(pod)
        seen.add(owner)
    return first + rest


def template_of(attributes: Attributes, obj: Object) -> Pod | None:
    found: Object | None = obj
    for name in TEMPLATES[attributes.group, attributes.resource]:
        found = (found or {}).get(name)
    return None if found is None else Pod(found.get("metadata") or {}, found.get("spec") or {})


def significant(pod: Object, old: Object) -> bool:
    """Whether an update changes anything that standards are about: containers, images, profiles in annotations."""
    return aspects(pod) != aspects(old)


def aspects(pod: Object) -> list[object]:
    annotations, spec = pod["metadata"].get("annotations") or {}, pod["spec"]
    profiles = {key: value for key, value in annotations.items() if "seccomp.security" in key or "apparmor" in key}
    return [profiles, *([(each["name"], each.get("image")) for each in spec.get(field) or ()]
                        for field in ("containers", "initContainers", "ephemeralContainers"))]
