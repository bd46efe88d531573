"""Hypothesis strategies for objects by their schema: of any definition, well-formed or spoilt in known ways."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from timonier.api.schema import definition

TEXTS = st.sampled_from(["", "a", "web", "x-1", "Bad_Name", "a.b", "..", "../x", "/etc/x", "kubernetes.io/a", "é", "1",
                         "None", "Always", "In", "Exists", "RollingUpdate", "TCP", "50%", "http",
                         "10.0.0.1", "fe80::1"])
QUANTITIES = st.sampled_from(["0", "1", "100m", "1Gi", "1.5", "-1", "12e3", "1500u", "2Ki"])
MOMENTS = st.sampled_from(["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678901+01:00"])
ANYTHING = st.sampled_from([None, True, 0, "x", [], {}, {"a": [1, None]}])
SPOILT = st.sampled_from([None, True, 7, 1.5, 2**40, "text", [1], ["a"], {"a": "b"}, {"unknownField": 1}])
EITHER = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOr"
"""A schema or something else, of which the published definitions do not tell."""
DEPTH = 9


def values(node: dict[str, Any], depth: int = 0, *, spoil: bool = False) -> st.SearchStrategy[Any]:
    """Values of a schema node; with `spoil`, now and then something else in their place."""
    plain = st.deferred(lambda: well_formed(node, depth, spoil=spoil))
    return st.one_of(plain, plain, plain, plain, plain, plain, SPOILT) if spoil and depth else plain


def well_formed(node: dict[str, Any], depth: int, *, spoil: bool) -> st.SearchStrategy[Any]:
    if node.get("$ref", "").startswith(EITHER):
        return st.just({})
    if "$ref" in node:
        return well_formed(definition(node["$ref"]), depth, spoil=spoil)
    match node.get("type"), node.get("format"):
        case "string", "quantity":
            return QUANTITIES
        case "string", "date-time":
            return MOMENTS
        case "string", "byte":
            return st.sampled_from(["", "YQ==", "YWJj"])
        case "string", "int-or-string":
            return st.one_of(st.integers(-1, 70000), TEXTS)
        case "string", _:
            return TEXTS
        case "boolean", _:
            return st.booleans()
        case "integer", _:
            return st.sampled_from([-1, 0, 1, 80, 420, 99999])
        case "number", _:
            return st.sampled_from([0, 1.5])
        case "array", _:
            return st.lists(values(node["items"], depth + 1, spoil=spoil), max_size=2 if depth < DEPTH else 0)
        case "object", _:
            return objects(node, depth, spoil=spoil)
    return ANYTHING


def objects(node: dict[str, Any], depth: int, *, spoil: bool) -> st.SearchStrategy[Any]:
    properties = node.get("properties")
    if properties is None:
        below = node.get("additionalProperties")
        inner = values(below, depth + 1, spoil=spoil) if below else ANYTHING
        return st.dictionaries(TEXTS, inner, max_size=2)
    if depth >= DEPTH:
        return st.just({})

    @st.composite
    def some(draw: st.DrawFn) -> dict[str, Any]:
        names = draw(st.lists(st.sampled_from(sorted(properties)), max_size=6, unique=True))
        if depth < 4:
            names = list(dict.fromkeys([*(each for each in ("metadata", "spec", "template") if each in properties),
                                        *node.get("required", ()), *names]))
        return {name: draw(values(properties[name], depth + 1, spoil=spoil)) for name in names}
    return some()


def of(name: str, *, spoil: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of a definition."""
    return values(definition(name), spoil=spoil)
