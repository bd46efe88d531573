"""Every kind, version, verb and subresource of v1.37, tried on the server; the outcome is docs/reference/verbs.md.

`WRITE_DOCS=1 pytest tests/apiserver/core/test_every_verb.py` writes the page; without it the page must say what was
found. What needs a node is tried by the end-to-end tests that its row names.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Cluster, pod
from support.samples import name_of, sample

from timonier.api.kinds import BY_ID, KINDS, Kind, Subresource

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "verbs.md"
VERBS = ("create", "get", "list", "watch", "update", "patch", "apply", "delete", "deletecollection")
WORKS, NONE = "✓", "-"
HEAD = f"""\
# Every kind, verb and subresource
<!-- Written by tests/apiserver/core/test_every_verb.py, which tries each of them: WRITE_DOCS=1 pytest … -->

All that Kubernetes v1.37 serves by default, and the versions of former days. {WORKS}: it was asked of the server and
answered as it should be. {NONE}: Kubernetes has no such verb for the kind. `patch` stands for JSON patch, merge patch
and strategic merge patch, `apply` for server-side apply. Subresources stand with their verbs; those in *italics* need
a node, and are tried with containers by the tests below.

"""
ON_NODES = {
    "attach": "tests/e2e/test_kubectl_commands.py", "exec": "tests/e2e/test_kubectl_commands.py",
    "log": "tests/e2e/test_kubectl_commands.py", "portforward": "tests/e2e/test_kubectl_commands.py",
    "proxy": "tests/apiserver/streaming/test_proxy.py",
}
PATCHES = ("merge-patch+json", "strategic-merge-patch+json", "json-patch+json")
APPLY = "application/apply-patch+yaml"


def place(kind: Kind) -> str:
    return kind.path("default" if kind.namespaced else "")


def one(kind: Kind, subresource: str = "") -> str:
    return kind.path("default" if kind.namespaced else "", name_of(kind), subresource)


async def fresh(cluster: Cluster, kind: Kind) -> None:
    """The sample is there, as it was made."""
    await gone(cluster, kind)
    if kind.kind == "Event" and kind.group:
        await gone(cluster, BY_ID["v1/Event"])
    reply = await cluster.post(place(kind), sample(kind), content_type="application/json")
    assert reply.code == 201, (kind.id, reply.content)


async def gone(cluster: Cluster, kind: Kind) -> None:
    """Nothing of the kind's sample is left, finalizers or not."""
    if (await cluster.get(one(kind))).code == 404:
        return
    if kind.id == "v1/Namespace":
        await cluster.delete(one(kind))
        current = (await cluster.get(one(kind))).json
        await cluster.put(one(kind, "finalize"), current | {"spec": {"finalizers": []}},
                          content_type="application/json")
        return
    await cluster.delete(f"{one(kind)}?gracePeriodSeconds=0&propagationPolicy=Background")
    await cluster.patch(one(kind), {"metadata": {"finalizers": None}})


async def create(cluster: Cluster, kind: Kind) -> None:
    if kind.id == "v1/Binding":
        await cluster.post(place(BY_ID["v1/Pod"]), pod("sample"), content_type="application/json")
    reply = await cluster.post(place(kind), sample(kind), content_type="application/json")
    assert reply.code == 201, reply.content


async def get(cluster: Cluster, kind: Kind) -> None:
    if kind.id == "v1/ComponentStatus":
        assert (await cluster.get(kind.path("", "etcd-0"))).code == 200
        return
    found = await cluster.get(one(kind))
    assert (found.json["kind"], found.json["apiVersion"], found.json["metadata"]["name"]) == (
        kind.kind, kind.apiVersion, name_of(kind))


async def list_(cluster: Cluster, kind: Kind) -> None:
    found = await cluster.get(place(kind))
    assert found.json["kind"] == kind.list_kind
    if kind.id != "v1/ComponentStatus":
        assert name_of(kind) in [each["metadata"]["name"] for each in found.json["items"]]
    table = await cluster.get(place(kind), accept="application/json;as=Table;g=meta.k8s.io;v=v1")
    assert len(table.json["rows"][0]["cells"]) == len(table.json["columnDefinitions"])


async def watch(cluster: Cluster, kind: Kind) -> None:
    taken = await cluster.watch(f"{place(kind)}?watch=1")
    await cluster.patch(one(kind), {"metadata": {"labels": {"seen": "by-a-watch"}}})
    await cluster.settle()
    assert {("ADDED", name_of(kind)), ("MODIFIED", name_of(kind))} <= {
        (event["type"], event["object"]["metadata"]["name"]) for event in taken.events()}


async def update(cluster: Cluster, kind: Kind) -> None:
    current = (await cluster.get(one(kind))).json
    current["metadata"].setdefault("labels", {})["updated"] = "yes"
    reply = await cluster.put(one(kind), current, content_type="application/json")
    assert reply.code == 200, reply.content
    assert reply.json["metadata"]["labels"]["updated"] == "yes"


async def patch(cluster: Cluster, kind: Kind) -> None:
    for media_type in PATCHES:
        change: Any = {"metadata": {"annotations": {"patched": media_type}}}
        if media_type.startswith("json"):
            change = [{"op": "add", "path": "/metadata/annotations/patched", "value": media_type}]
        reply = await cluster.call("PATCH", one(kind), change, content_type=f"application/{media_type}")
        assert reply.code == 200, reply.content
        assert reply.json["metadata"]["annotations"]["patched"] == media_type


async def apply(cluster: Cluster, kind: Kind) -> None:
    wanted = {"apiVersion": kind.apiVersion, "kind": kind.kind,
              "metadata": {"name": name_of(kind), "labels": {"applied": "yes"}}}
    reply = await cluster.call("PATCH", f"{one(kind)}?fieldManager=test", wanted, content_type=APPLY)
    assert reply.code == 200, reply.content
    assert "Apply" in {entry["operation"] for entry in reply.json["metadata"]["managedFields"]}


async def delete(cluster: Cluster, kind: Kind) -> None:
    reply = await cluster.delete(one(kind))
    assert reply.code in (200, 202), reply.content
    await gone(cluster, kind)
    assert (await cluster.get(one(kind))).code == 404


async def deletecollection(cluster: Cluster, kind: Kind) -> None:
    await fresh(cluster, kind)
    reply = await cluster.delete(f"{place(kind)}?fieldSelector=metadata.name={name_of(kind)}")
    assert [each["metadata"]["name"] for each in reply.json["items"]] == [name_of(kind)]
    await gone(cluster, kind)


TRIES: dict[str, Callable[[Cluster, Kind], Awaitable[None]]] = {
    "create": create, "get": get, "list": list_, "watch": watch, "update": update, "patch": patch, "apply": apply,
    "delete": delete, "deletecollection": deletecollection}


async def subresource(cluster: Cluster, kind: Kind, sub: Subresource) -> None:
    """Each verb of a subresource, on the sample."""
    await fresh(cluster, kind)
    path = one(kind, sub.name)
    for verb in sorted(sub.verbs):
        match verb:
            case "get":
                reply = await cluster.get(path)
            case "create":
                reply = await cluster.post(path, ordered(kind, sub), content_type="application/json")
            case "update":
                current = (await cluster.get(path if "get" in sub.verbs else one(kind))).json
                reply = await cluster.put(path, current, content_type="application/json")
            case _:
                reply = await cluster.patch(path, {"metadata": {"resourceVersion": None}})
        assert reply.code in (200, 201), (verb, reply.content)


def ordered(kind: Kind, sub: Subresource) -> dict[str, Any]:
    """What is sent to a subresource that takes orders."""
    head = {"apiVersion": f"{sub.group}/{sub.version}" if sub.group else sub.version, "kind": sub.kind,
            "metadata": {"name": name_of(kind)}}
    return head | {"Binding": {"target": {"kind": "Node", "name": "a"}}, "TokenRequest": {"spec": {"audiences": []}},
                   "Eviction": {}}[sub.kind]


async def described(cluster: Cluster, kind: Kind) -> str:
    """The kind's row, once all of it was tried."""
    stored = "get" in kind.verbs and "create" in kind.verbs
    for verb in VERBS:
        if verb in kind.verbs or (verb == "apply" and "patch" in kind.verbs):
            if stored and verb == "create":
                await gone(cluster, kind)
                if kind.kind == "Event":
                    await gone(cluster, BY_ID["v1/Event"])
            await TRIES[verb](cluster, kind)
    verbs = [WORKS if verb in kind.verbs or (verb == "apply" and "patch" in kind.verbs) else NONE for verb in VERBS]
    subs = []
    for sub in sorted(kind.subresources, key=lambda each: each.name):
        words = f"{sub.name} ({' '.join(sorted(sub.verbs))})"
        if sub.name in ON_NODES:
            subs.append(f"*{words}*")
            continue
        await subresource(cluster, kind, sub)
        subs.append(f"{words} {WORKS}")
    await gone(cluster, kind) if stored else None
    return f"| {kind.kind} | {' | '.join(verbs)} | {'<br>'.join(subs)} |"


async def test_every_kind_answers_every_verb_and_subresource_that_it_has(cluster: Cluster) -> None:
    await cluster.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}},
                       content_type="application/json")
    text, version = HEAD, ""
    for kind in KINDS:
        if kind.apiVersion != version:
            version = kind.apiVersion
            text += f"\n## {version}\n| Kind | {' | '.join(VERBS)} | subresources |\n|{'---|' * (len(VERBS) + 2)}\n"
        text += await described(cluster, kind) + "\n"
    text += "\n## Tried with containers\n" + "".join(f"- `{name}`: {test}\n" for name, test in ON_NODES.items())
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(text)
    assert PAGE.read_text() == text, "docs/reference/verbs.md is stale: run this test with WRITE_DOCS=1"


@pytest.mark.parametrize("test", sorted(set(ON_NODES.values())))
def test_the_tests_that_the_page_names_are_there(test: str) -> None:
    assert (PAGE.parents[2] / test).exists()
