"""Discovery with the groups and versions of backends: those of this server, and theirs, by priority."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from timonier.apiserver.aggregation.backends import Backend
from timonier.apiserver.aggregation.local import DEFINED, PRIORITIES
from timonier.apiserver.discovery import AGGREGATED, aggregated_version, describe_group
from timonier.apiserver.documents import JSON, Document

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

Object = dict[str, Any]
Name = Callable[[Object], str]


def document(server: ApiServer, path: str, accept: str) -> Document | None:
    """What `/apis` or `/apis/<group>` answers where backends have a part in it; None where they have not."""
    backends = server.backends.all()
    path = path.rstrip("/")
    if not backends or not (path == "/apis" or path.count("/") == 2):
        return None
    form = aggregated_version(accept) if path == "/apis" else ""
    key = path, form, server.backends.stamp, server.registry.resources.changes
    made: dict[Any, Document] = server.parts.setdefault("discovery", {})
    if key not in made:
        found = groups(server, path, form, by_group(backends))
        if found is None:
            return None
        media_type = f"{JSON};g={AGGREGATED};v={form};as=APIGroupDiscoveryList" if form else JSON
        if any(old[2:] != key[2:] for old in made):
            made.clear()
        made[key] = Document.of_json(found, media_type)
    return made[key]


def by_group(backends: Sequence[Backend]) -> dict[str, list[Backend]]:
    """Backends by group, the versions of each by priority."""
    found: dict[str, list[Backend]] = {}
    for each in sorted(backends, key=lambda each: (-each.version_priority, each.version)):
        found.setdefault(each.group, []).append(each)
    return found


def groups(server: ApiServer, path: str, form: str, foreign: dict[str, list[Backend]]) -> Object | None:
    if path != "/apis":
        name = path.rpartition("/")[2]
        if name not in foreign:
            return None
        local = server.discovery.plain(path) or {"versions": []}
        versions = [each["version"] for each in local["versions"]] + [each.version for each in foreign[name]]
        return {"kind": "APIGroup", "apiVersion": "v1"} | describe_group(name, list(dict.fromkeys(versions)))
    if form:
        whole = server.discovery.aggregated(path, form)
        return whole | {"items": together(whole["items"], foreign, lambda item: item["metadata"]["name"], aggregated)}
    whole = server.discovery.plain(path) or {}
    return whole | {"groups": together(whole["groups"], foreign, lambda item: item["name"], plain)}


def together(local: Sequence[Object], foreign: dict[str, list[Backend]], name: Name,
             add: Callable[[Object | None, list[Backend]], Object]) -> list[Object]:
    """This server's groups and the backends', which stand where their priority is."""
    merged = [add(item, foreign[name(item)]) if name(item) in foreign else item for item in local]
    known = {name(item) for item in local}
    for group in sorted(foreign.keys() - known):
        priority = max(each.group_priority for each in foreign[group])
        place = next((place for place, item in enumerate(merged)
                      if name(item) in known and PRIORITIES.get(name(item), DEFINED) < priority), len(merged))
        merged.insert(place, add(None, foreign[group]))
    return merged


def plain(item: Object | None, backends: list[Backend]) -> Object:
    versions = [each["version"] for each in item["versions"]] if item else []
    return describe_group(backends[0].group, list(dict.fromkeys([*versions, *(each.version for each in backends)])))


def aggregated(item: Object | None, backends: list[Backend]) -> Object:
    made = item or {"metadata": {"name": backends[0].group, "creationTimestamp": None}, "versions": []}
    return made | {"versions": [*made["versions"], *map(version, backends)]}


def version(backend: Backend) -> Object:
    """A backend's resources in the aggregated form, of what it said last."""
    rows = (backend.resources or {}).get("resources") or []
    subresources: dict[str, list[Object]] = {}
    for row in rows:
        resource, slash, sub = row["name"].partition("/")
        if slash:
            subresources.setdefault(resource, []).append({
                "subresource": sub, "responseKind": kind_of(row, backend), "verbs": row.get("verbs") or []})
    return {"version": backend.version, "freshness": "Current" if backend.available else "Stale", "resources": [
        described(row, backend, subresources.get(row["name"], [])) for row in rows if "/" not in row["name"]]}


def described(row: Object, backend: Backend, subresources: list[Object]) -> Object:
    made = {"resource": row["name"], "responseKind": kind_of(row, backend),
            "scope": "Namespaced" if row.get("namespaced") else "Cluster",
            "singularResource": row.get("singularName") or "", "verbs": row.get("verbs") or []}
    more = {"shortNames": row.get("shortNames"), "categories": row.get("categories"), "subresources": subresources}
    return made | {key: value for key, value in more.items() if value}


def kind_of(row: Object, backend: Backend) -> Object:
    return {"group": row.get("group") or backend.group, "version": row.get("version") or backend.version,
            "kind": row.get("kind") or ""}
