"""The table of kinds against the schema."""

from __future__ import annotations

from timonier.api.kinds import BY_ID, KINDS
from timonier.api.schema import definition, definitions, docs, resolve
from timonier.api.validation import RULES

SUBRESOURCE_KINDS = {"v1/Eviction", "policy/v1/Eviction", "autoscaling/v1/Scale",
                     "authentication.k8s.io/v1/TokenRequest"}
META_KINDS = {"APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "DeleteOptions", "Status", "WatchEvent"}


def served(apiVersion: str) -> bool:
    """Beta and alpha versions are off by default."""
    version = apiVersion.rpartition("/")[2]
    return "alpha" not in version and "beta" not in version


def test_every_served_kind_of_the_schema_has_a_row():
    found = set()
    for name, node in definitions().items():
        for identity in node.get("x-kubernetes-group-version-kind", ()):
            group, version, kind = identity["group"], identity["version"], identity["kind"]
            apiVersion = f"{group}/{version}" if group else version
            known = kind in META_KINDS or kind.endswith("List") or name.rpartition(".")[2] != kind
            if not known and served(apiVersion):
                found.add(f"{apiVersion}/{kind}")
    assert found - {row.id for row in KINDS} - SUBRESOURCE_KINDS == set()


def test_every_row_has_a_definition_with_its_identity():
    for row in KINDS:
        identities = definition(row.definition)["x-kubernetes-group-version-kind"]
        assert {"group": row.group, "kind": row.kind, "version": row.version} in identities
        assert f"{row.definition}List" in definitions() or "list" not in row.verbs


def test_rules_of_validation_are_of_kinds_that_exist():
    assert set(RULES) <= set(BY_ID)


def test_subresources_speak_of_kinds_that_the_schema_has():
    kinds = {(each["group"], each["version"], each["kind"]) for node in definitions().values()
             for each in node.get("x-kubernetes-group-version-kind", ())}
    options = {"PodAttachOptions", "PodExecOptions", "PodPortForwardOptions", "PodProxyOptions", "NodeProxyOptions",
               "ServiceProxyOptions"}  # these exist as query parameters alone
    for row in KINDS:
        for sub in row.subresources:
            assert not sub.kind or sub.kind in options or (sub.group, sub.version, sub.kind) in kinds


def test_names_in_paths_and_short_names_are_unique_within_a_group():
    paths = [(row.group, row.version, row.plural) for row in KINDS]
    assert len(paths) == len(set(paths))
    short = [(row.group, row.version, name) for row in KINDS for name in row.short]
    assert len(short) == len(set(short))


def test_descriptions_follow_the_structure():
    for row in KINDS:
        text, properties, _ = docs(row.definition)
        assert text
        assert set(properties) == set(definition(row.definition)["properties"])


def test_references_resolve():
    node = definition("io.k8s.api.core.v1.Pod")["properties"]["spec"]
    assert "containers" in resolve(node)["properties"]
    assert resolve({"type": "string"}) == {"type": "string"}
