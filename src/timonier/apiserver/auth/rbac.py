"""Role-based access control: who may do what, from Roles, ClusterRoles and their bindings.

The index is kept by subject and namespace as roles and bindings change, so that a decision looks only at the bindings
of the user and of each of its groups, and costs microseconds. Who may *give* rights stands in `escalation`, the roles
that a new cluster has in `policy`, roles made of roles in `aggregation`.
Source: Kubernetes documentation, "Using RBAC Authorization".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from timonier.apiserver.auth.decision import Decision
from timonier.apiserver.request import Attributes, Object, User

GROUP = "rbac.authorization.k8s.io"
EVERYTHING = "*"
ACCOUNT = "ServiceAccount"
REMEMBERED = 8192
"""Questions whose fitting rules are remembered."""
RULE_PARTS = ("verbs", "apiGroups", "resources", "resourceNames")


@dataclass(frozen=True, slots=True)
class Rule:
    """One PolicyRule. Empty `names` means every name; a rule is about resources or about URLs, not both."""

    verbs: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    urls: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> Rule:
        verbs, groups, resources, names = (frozenset(rule.get(part) or ()) for part in RULE_PARTS)
        return cls(verbs, groups, resources, names, tuple(rule.get("nonResourceURLs") or ()))

    def to_dict(self) -> Object:
        parts = {"verbs": sorted(self.verbs), "apiGroups": sorted(self.groups), "resources": sorted(self.resources),
                 "resourceNames": sorted(self.names), "nonResourceURLs": list(self.urls)}
        return {name: value for name, value in parts.items() if value}

    def allows(self, attributes: Attributes) -> bool:
        return self.fits(attributes) and (not self.names or attributes.name in self.names)

    def fits(self, attributes: Attributes) -> bool:
        """Whether the rule allows a request for some object, if not for the one that it names."""
        verbs = self.verbs
        if attributes.verb not in verbs and EVERYTHING not in verbs:
            return False
        if not attributes.is_resource:
            return any(url_matches(url, attributes.path) for url in self.urls)
        if attributes.group not in self.groups and EVERYTHING not in self.groups:
            return False
        return resource_matches(self.resources, attributes.resource, attributes.subresource)


def resource_matches(resources: frozenset[str], resource: str, subresource: str) -> bool:
    """`pods`, `pods/log`, `*`, or `*/scale` for the subresource of any resource."""
    if EVERYTHING in resources:
        return True
    if not subresource:
        return resource in resources
    return f"{resource}/{subresource}" in resources or f"*/{subresource}" in resources


def url_matches(pattern: str, path: str) -> bool:
    """`*`, an exact path, or a prefix that ends with `*`."""
    return pattern == path or (pattern.endswith("*") and path.startswith(pattern[:-1]))


class RoleRef(NamedTuple):
    """Which role; `namespace` is empty for a ClusterRole."""

    namespace: str
    name: str


class Subject(NamedTuple):
    """`User` or `Group`, and its name. A service account is the user that its tokens stand for."""

    kind: str
    name: str


class BindingKey(NamedTuple):
    """Which binding; `namespace` is empty for a ClusterRoleBinding."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Binding:
    """A binding, reduced to what decisions need."""

    key: BindingKey
    role: RoleRef
    subjects: tuple[Subject, ...]
    accounts: frozenset[Subject] = frozenset()
    """The subjects that are named as service accounts."""

    @classmethod
    def of(cls, obj: Object) -> Binding:
        namespace = obj["metadata"].get("namespace", "")
        ref = obj.get("roleRef") or {}
        role = RoleRef(namespace if ref.get("kind") == "Role" else "", ref.get("name", ""))
        given = [(subject_of(subject, namespace), subject.get("kind")) for subject in obj.get("subjects") or ()]
        accounts = frozenset(subject for subject, kind in given if kind == ACCOUNT)
        key = BindingKey(namespace, obj["metadata"]["name"])
        return cls(key, role, tuple(subject for subject, _ in given), accounts)


def subject_of(subject: Mapping[str, Any], namespace: str) -> Subject:
    if subject.get("kind") == ACCOUNT:
        return Subject("User", service_account(subject.get("namespace") or namespace, subject.get("name", "")))
    return Subject(subject.get("kind", ""), subject.get("name", ""))


def service_account(namespace: str, name: str) -> str:
    """The user name of a service account."""
    return f"system:serviceaccount:{namespace}:{name}"


@dataclass
class Index:
    """Roles and bindings by what decisions ask for. Told of every change; answers from memory."""

    roles: dict[RoleRef, tuple[Rule, ...]] = field(default_factory=dict)
    bindings: dict[BindingKey, Binding] = field(default_factory=dict)
    bound: dict[tuple[Subject, str], dict[BindingKey, Binding]] = field(default_factory=dict)
    """Bindings by subject and namespace; the empty namespace is the whole cluster."""
    version: int = 0
    """Grows with every change."""

    def put(self, obj: Object) -> None:
        """Take in a Role, ClusterRole, RoleBinding or ClusterRoleBinding, new or changed."""
        self.version += 1
        metadata = obj["metadata"]
        if obj["kind"] in ("Role", "ClusterRole"):
            rules = tuple(Rule.of(rule) for rule in obj.get("rules") or ())
            self.roles[RoleRef(metadata.get("namespace", ""), metadata["name"])] = rules
            return
        binding = Binding.of(obj)
        self.unbind(binding.key)
        self.bindings[binding.key] = binding
        for subject in binding.subjects:
            self.bound.setdefault((subject, binding.key.namespace), {})[binding.key] = binding

    def remove(self, kind: str, namespace: str, name: str) -> None:
        self.version += 1
        if kind in ("Role", "ClusterRole"):
            self.roles.pop(RoleRef(namespace, name), None)
        else:
            self.unbind(BindingKey(namespace, name))

    def unbind(self, key: BindingKey) -> None:
        binding = self.bindings.pop(key, None)
        for subject in binding.subjects if binding else ():
            entry = self.bound.get((subject, key.namespace))
            if entry:
                entry.pop(key, None)
                if not entry:
                    del self.bound[subject, key.namespace]

    def bindings_of(self, user: User, namespace: str) -> Iterator[tuple[Subject, Binding]]:
        """The bindings that give a user rights in a namespace (and everywhere), cluster-wide ones first."""
        subjects = (Subject("User", user.name), *(Subject("Group", group) for group in user.groups))
        for place in ("", namespace) if namespace else ("",):
            for subject in subjects:
                entry = self.bound.get((subject, place))
                if entry:
                    for binding in entry.values():
                        yield subject, binding

    def rules_of(self, user: User, namespace: str) -> Iterator[Rule]:
        """Every rule that holds for a user in a namespace."""
        for _, binding in self.bindings_of(user, namespace):
            yield from self.roles.get(binding.role, ())


Grant = tuple[Rule, str]
"""A rule that fits a request but for the name, and the reason that it gives."""


@dataclass(slots=True)
class Rbac:
    """The authoriser over an index, which `refresh` brings up to date.

    Clients ask the same few things again and again, so which rules fit a request (whatever object it names) is
    remembered until roles or bindings change.
    """

    index: Index
    refresh: Callable[[], None] = lambda: None
    known: dict[tuple[object, ...], tuple[tuple[Grant, ...], str]] = field(default_factory=dict)
    version: int = -1

    async def decide(self, attributes: Attributes) -> Decision:
        self.refresh()
        if self.version != self.index.version or len(self.known) > REMEMBERED:
            self.known.clear()
            self.version = self.index.version
        user = attributes.user
        key = (user.name, user.groups, attributes.verb, attributes.group, attributes.resource, attributes.subresource,
               attributes.namespace, attributes.path if not attributes.is_resource else "")
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self.fitting(attributes)
        grants, refused = found
        for rule, reason in grants:
            if not rule.names or attributes.name in rule.names:
                return Decision(True, reason)
        return Decision(False, refused)

    def fitting(self, attributes: Attributes) -> tuple[tuple[Grant, ...], str]:
        """The rules that fit a request but for its name, and why it is refused where none of them holds for that."""
        grants: list[Grant] = []
        missing = []
        for subject, binding in self.index.bindings_of(attributes.user, attributes.namespace):
            rules = self.index.roles.get(binding.role)
            if rules is None:
                missing.append(f"{describe_missing(binding.role)} not found")
                continue
            for rule in rules:
                if rule.fits(attributes):
                    grants.append((rule, describe_grant(binding, subject)))
                    if not rule.names:
                        return tuple(grants), ""
        return tuple(grants), refused_because(missing)


def refused_because(missing: Iterable[str]) -> str:
    texts = list(dict.fromkeys(missing))
    if not texts:
        return ""
    return f"RBAC: {texts[0]}" if len(texts) == 1 else f"RBAC: [{', '.join(texts)}]"


def describe_missing(role: RoleRef) -> str:
    return f'{"role" if role.namespace else "clusterrole"}.{GROUP} "{role.name}"'


def describe_grant(binding: Binding, subject: Subject) -> str:
    place = f'RoleBinding "{binding.key.name}/{binding.key.namespace}"' if binding.key.namespace \
        else f'ClusterRoleBinding "{binding.key.name}"'
    role = f'{"Role" if binding.role.namespace else "ClusterRole"} "{binding.role.name}"'
    if subject in binding.accounts:
        _, _, namespace, name = subject.name.split(":", 3)
        return f'RBAC: allowed by {place} of {role} to {ACCOUNT} "{name}/{namespace}"'
    return f'RBAC: allowed by {place} of {role} to {subject.kind} "{subject.name}"'
