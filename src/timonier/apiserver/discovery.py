"""Discovery: which groups, versions and resources there are, derived from the kinds that are served.

Two forms of the same facts: the plain one, a document for each group and version, and the aggregated one (KEP-3352), in
which `/api` and `/apis` each answer with everything at once. Which one a client gets stands in its Accept header.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from timonier.api.kinds import STANDARD_VERBS, Kind, Subresource
from timonier.api.versions import newest_first
from timonier.apiserver.documents import JSON, Clause, Document, accepted, takes

GROUP_ORDER = (
    "apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "autoscaling",
    "batch", "certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io",
    "admissionregistration.k8s.io", "apiextensions.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io",
    "discovery.k8s.io", "resource.k8s.io", "flowcontrol.apiserver.k8s.io", "storagemigration.k8s.io", "extensions",
)
"""Groups by falling priority, as kube-apiserver registers them: a bare resource name means the first that has it."""

NO_MORE = frozenset({"create", "patch", "update"})
"""What a kind that is about to go offers no longer."""

AGGREGATED = "apidiscovery.k8s.io"
AGGREGATED_VERSIONS = ("v2", "v2beta1")


class Kinds(Protocol):
    """The kinds that are served now (`apiserver.resources`), and a number that grows with every change of them."""

    changes: int

    def __iter__(self) -> Iterator[Kind]: ...


class Discovery:
    """The discovery documents of the kinds that are served. Documents are made when asked for, and kept until a kind
    comes or goes.

    `server_address` is what /api tells clients to connect to: `host:port`.
    """

    def __init__(self, kinds: Kinds, server_address: str = "") -> None:
        self.kinds, self.server_address = kinds, server_address
        self._groups: dict[str, dict[str, list[Kind]]] = {}
        self._changes = -1
        self._made: dict[tuple[str, str], Document] = {}

    def _look(self) -> None:
        """See which kinds are served now, where that changed."""
        if self._changes != self.kinds.changes:
            self._changes, self._groups = self.kinds.changes, {}
            self._made.clear()
            for kind in self.kinds:
                self._groups.setdefault(kind.group, {}).setdefault(kind.version, []).append(kind)

    @property
    def groups(self) -> dict[str, dict[str, list[Kind]]]:
        """The kinds that are served now, by group and version."""
        self._look()
        return self._groups

    def document(self, path: str, accept: str = "") -> Document | None:
        """What a path (`/apis/apps/v1`, with or without a final slash) answers; None where there is none."""
        self._look()
        path = path.rstrip("/")
        form = aggregated_version(accept) if path in ("/api", "/apis") else ""
        if (path, form) not in self._made:
            value = self.aggregated(path, form) if form else self.plain(path)
            if value is None:
                return None
            media_type = f"{JSON};g={AGGREGATED};v={form};as=APIGroupDiscoveryList" if form else JSON
            self._made[path, form] = Document.of_json(value, media_type)
        return self._made[path, form]

    def plain(self, path: str) -> dict[str, Any] | None:
        match path.split("/")[1:]:
            case ["api"]:
                return self.versions()
            case ["apis"]:
                groups = [describe_group(name, self.ordered_versions(name)) for name in self.ordered_groups()]
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
            case ["api", "v1"]:
                return self.resources("", "v1")
            case ["apis", group] if group in self.groups and group:
                return {"kind": "APIGroup", "apiVersion": "v1"} | describe_group(group, self.ordered_versions(group))
            case ["apis", group, version] if version in self.groups.get(group, {}) and group:
                return self.resources(group, version)
        return None

    def versions(self) -> dict[str, Any]:
        return {"kind": "APIVersions", "versions": self.ordered_versions(""), "serverAddressByClientCIDRs": [
            {"clientCIDR": "0.0.0.0/0", "serverAddress": self.server_address}]}

    def resources(self, group: str, version: str) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        for kind in sorted(self.groups[group][version], key=lambda kind: kind.plural):
            rows.append(describe_resource(kind))
            rows += [describe_subresource(kind, sub) for sub in sorted(kind.subresources, key=lambda sub: sub.name)]
        return {"kind": "APIResourceList", **({"apiVersion": "v1"} if group else {}),
                "groupVersion": f"{group}/{version}" if group else version, "resources": rows}

    def aggregated(self, path: str, form: str) -> dict[str, Any]:
        names = [""] if path == "/api" else self.ordered_groups()
        items = [{"metadata": {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None},
                  "versions": [self.aggregated_resources(name, version) for version in self.ordered_versions(name)]}
                 for name in names]
        return {"kind": "APIGroupDiscoveryList", "apiVersion": f"{AGGREGATED}/{form}", "metadata": {}, "items": items}

    def aggregated_resources(self, group: str, version: str) -> dict[str, Any]:
        kinds = sorted(self.groups[group][version], key=lambda kind: kind.plural)
        return {"version": version, "resources": [aggregated_resource(kind) for kind in kinds], "freshness": "Current"}

    def ordered_groups(self) -> list[str]:
        """The named groups, by priority; those without one (of extensions) follow by name."""
        rank = {name: place for place, name in enumerate(GROUP_ORDER)}
        return sorted((name for name in self.groups if name), key=lambda name: (rank.get(name, len(rank)), name))

    def ordered_versions(self, group: str) -> list[str]:
        return newest_first(self.groups[group])


def aggregated_version(accept: str) -> str:
    """The version of aggregated discovery that a client prefers; empty where it wants the plain form."""
    for clause in accepted(accept):
        if version := asks_aggregated(clause):
            return version
        if takes(clause, JSON) and not clause.parameters.get("as"):
            return ""
    return ""


def asks_aggregated(clause: Clause) -> str:
    version = clause.parameters.get("v", "")
    wanted = clause.media_type == JSON and clause.parameters.get("g") == AGGREGATED
    return version if wanted and version in AGGREGATED_VERSIONS else ""


def describe_group(name: str, versions: Sequence[str]) -> dict[str, Any]:
    entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[0]}


def verbs_of(kind: Kind) -> list[str]:
    return sorted(verb for verb in kind.verbs if not (kind.closing and verb in NO_MORE))


def describe_resource(kind: Kind) -> dict[str, Any]:
    row: dict[str, Any] = {"name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced,
                           "kind": kind.kind, "verbs": verbs_of(kind)}
    if kind.short:
        row["shortNames"] = list(kind.short)
    if kind.categories:
        row["categories"] = list(kind.categories)
    if kind.verbs == STANDARD_VERBS or "watch" in kind.verbs:
        row["storageVersionHash"] = storage_version_hash(kind)
    return row


def describe_subresource(kind: Kind, sub: Subresource) -> dict[str, Any]:
    foreign = {"group": sub.group, "version": sub.version} if sub.kind and sub.group else {}
    if sub.kind and not sub.group and kind.group:
        foreign = {"version": sub.version}
    return {"name": f"{kind.plural}/{sub.name}", "singularName": "", "namespaced": kind.namespaced, **foreign,
            "kind": sub.kind or kind.kind, "verbs": sorted(sub.verbs)}


def aggregated_resource(kind: Kind) -> dict[str, Any]:
    row: dict[str, Any] = {
        "resource": kind.plural, "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster", "singularResource": kind.singular,
        "verbs": verbs_of(kind)}
    if kind.short:
        row["shortNames"] = list(kind.short)
    if kind.categories:
        row["categories"] = list(kind.categories)
    if kind.subresources:
        row["subresources"] = [aggregated_subresource(kind, sub)
                               for sub in sorted(kind.subresources, key=lambda sub: sub.name)]
    return row


def aggregated_subresource(kind: Kind, sub: Subresource) -> dict[str, Any]:
    group, version, name = (sub.group, sub.version, sub.kind) if sub.kind else (kind.group, kind.version, kind.kind)
    return {"subresource": sub.name, "responseKind": {"group": group, "version": version, "kind": name},
            "verbs": sorted(sub.verbs)}


def storage_version_hash(kind: Kind) -> str:
    """A short name of the version that objects are stored in, which storage migrators compare."""
    group, _, version = kind.storage.rpartition("/")
    digest = hashlib.sha256(f"{group}/{version}/{kind.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()
