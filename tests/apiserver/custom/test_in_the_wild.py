"""Definitions that clusters out there are full of, with the examples of their authors, right and wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.api_server import Cluster, Reply
from support.definitions import PATH, condition
from support.go_modules import manifests, module

GATEWAY, ISTIO = "sigs.k8s.io/gateway-api@v1.4.0", "istio.io/api@v1.32.0"


async def define_all(cluster: Cluster, folder: Path) -> dict[str, Any]:
    """The definitions of a folder, by the kinds that they define. None of them gives reason to complain."""
    found = {}
    for file, definition in manifests(folder):
        if definition["kind"] == "CustomResourceDefinition":
            made = await cluster.post(f"{PATH}?fieldValidation=Strict", definition)
            assert made.code == 201, (file, made.content)
            assert "warning" not in made.headers, file
            found[definition["spec"]["names"]["kind"]] = definition
    await cluster.settle()
    await cluster.settle()
    return found


async def tried(cluster: Cluster, definition: Any, obj: Any) -> Reply:
    """What creating an object would come to."""
    spec, where = definition["spec"], ""
    obj["metadata"].pop("namespace", None)
    if spec["scope"] == "Namespaced":
        where = "/namespaces/default"
    return await cluster.post(f"/apis/{obj['apiVersion']}{where}/{spec['names']['plural']}?fieldValidation=Strict"
                              "&dryRun=All", obj)


@pytest.mark.parametrize(("name", "folder"), [(GATEWAY, "config/crd/experimental"), (ISTIO, "kubernetes")])
async def test_definitions_are_established_and_every_version_is_served(cluster: Cluster, name: str, folder: str):
    for definition in (await define_all(cluster, module(name) / folder)).values():
        established = await condition(cluster, definition["metadata"]["name"], "Established")
        assert established
        assert established["status"] == "True"
        for version in definition["spec"]["versions"]:
            if version["served"]:
                obj = {"apiVersion": f"{definition['spec']['group']}/{version['name']}",
                       "kind": definition["spec"]["names"]["kind"], "metadata": {"name": "x"}, "spec": {}}
                assert (await tried(cluster, definition, obj)).code in (201, 422), (definition["metadata"], version)
    assert (await cluster.get("/openapi/v2")).code == 200


@pytest.mark.parametrize("channel", ["standard", "experimental"])
async def test_the_gateway_api_accepts_its_right_examples_and_no_wrong_ones(cluster: Cluster, channel: str):
    folder = module(GATEWAY)
    defined = await define_all(cluster, folder / "config" / "crd" / channel)
    for right, examples in ((True, "examples"), (False, "hack/invalid-examples")):
        count = 0
        for file, obj in manifests(folder / examples / channel):
            definition = defined.get(obj["kind"])
            if definition and obj["apiVersion"].startswith(f"{definition['spec']['group']}/"):
                reply = await tried(cluster, definition, obj)
                assert reply.code == (201 if right else 422), (file, reply.content)
                count += 1
        assert count > 0
