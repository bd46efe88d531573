"""CustomResourceDefinitions for tests, and the kinds that they make, over a cluster of `support.api_server`."""

from __future__ import annotations

from typing import Any

from support.api_server import Cluster, Reply

PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
FOOS = "/apis/example.com/v1/namespaces/default/foos"


def version(name: str = "v1", schema: Any = None, **rest: Any) -> dict[str, Any]:
    """An entry of `spec.versions`; `schema` is that of `spec`, unless it says what an object is like."""
    root = schema if schema and "properties" in schema and "spec" in schema["properties"] else {
        "type": "object", "properties": {"spec": schema or ANYTHING, "status": ANYTHING}}
    return {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": root}} | rest


def definition(*versions: Any, plural: str = "foos", kind: str = "Foo", group: str = "example.com", names: Any = None,
               **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind} | (names or {}),
                     "versions": list(versions or [version()])} | spec}


def foo(name: str = "x", spec: Any = None, apiVersion: str = "example.com/v1", **rest: Any) -> dict[str, Any]:
    return {"apiVersion": apiVersion, "kind": "Foo", "metadata": {"name": name}} | (
        {} if spec is None else {"spec": spec}) | rest


async def define(cluster: Cluster, wanted: dict[str, Any] | None = None) -> Reply:
    """Create a definition and let the server establish it."""
    reply = await cluster.post(PATH, wanted or definition())
    assert reply.code == 201, reply.json
    await cluster.settle()
    await cluster.settle()
    return reply


async def condition(cluster: Cluster, name: str, kind: str) -> dict[str, Any] | None:
    found = (await cluster.get(f"{PATH}/{name}")).json["status"].get("conditions") or ()
    return next((each for each in found if each["type"] == kind), None)
