"""What every kind's smallest object gets that its writer left unsaid; the outcome is docs/reference/defaults.md.

`WRITE_DOCS=1 pytest tests/apiserver/core/test_every_default.py` writes the page; without it the page must say what was
found. Each object goes through the whole server, and is then written again unchanged, which must change nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from support.api_server import Cluster
from support.samples import name_of, sample

from timonier.api.kinds import KINDS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "defaults.md"
HEAD = """\
# What the API server adds
<!-- Written by tests/apiserver/core/test_every_default.py, which makes each object: WRITE_DOCS=1 pytest … -->

What the smallest object of each kind reads beyond what was written: defaults, what the server finds out itself, and
the zero values that Kubernetes writes out. Metadata are left out, and kinds to which nothing is added. The items of a
list stand in their places; `...` is one to which nothing is added.
"""
SAID = "..."
TOKEN = "kube-api-access-"


def added(read: Any, written: Any) -> Any:
    """What of a value was not written; `SAID` where all of it was."""
    if read == written:
        return SAID
    if isinstance(read, dict) and isinstance(written, dict):
        return {key: more for key, value in read.items() if (more := added(value, written.get(key))) != SAID}
    if isinstance(read, list) and isinstance(written, list) and len(read) == len(written):
        return [added(*pair) for pair in zip(read, written, strict=True)]
    return read


def shown(value: Any, obj: dict[str, Any]) -> Any:
    """A value, with words for what is another each time."""
    if isinstance(value, dict):
        return {key: shown(item, obj) for key, item in value.items()}
    if isinstance(value, list):
        return [shown(item, obj) for item in value]
    if isinstance(value, str) and value.startswith(TOKEN):
        return f"{TOKEN}(random)"
    words = {obj["metadata"]["uid"]: "(its uid)", obj["metadata"]["creationTimestamp"]: "(when it was made)",
             obj.get("spec", {}).get("clusterIP"): "(its address)"}
    return words.get(value, value) if isinstance(value, str) else value


async def test_every_kind_gets_its_defaults(cluster: Cluster) -> None:
    await cluster.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}},
                       content_type="application/json")
    text, version = HEAD, ""
    for kind in (kind for kind in KINDS if "create" in kind.verbs and "get" in kind.verbs):
        written, place = sample(kind), kind.path("default" if kind.namespaced else "")
        made = await cluster.post(place, written, content_type="application/json")
        assert made.code == 201, (kind.id, made.content)
        if kind.kind != "CustomResourceDefinition":  # whose status is written meanwhile
            again = await cluster.put(f"{place}/{name_of(kind)}", made.json, content_type="application/json")
            assert again.json == made.json, kind.id
        await cluster.delete(f"{place}/{name_of(kind)}?gracePeriodSeconds=0&propagationPolicy=Background")
        await cluster.patch(f"{place}/{name_of(kind)}", {"metadata": {"finalizers": None}})
        more = added({key: value for key, value in made.json.items() if key != "metadata"}, written)
        if more:
            if kind.apiVersion != version:
                version = kind.apiVersion
                text += f"\n## {version}\n"
            block = yaml.safe_dump(shown(more, made.json), sort_keys=True, default_flow_style=None, width=999)
            text += f"### {kind.kind}\n```yaml\n{block}```\n"
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(text)
    assert PAGE.read_text() == text, "docs/reference/defaults.md is stale: run this test with WRITE_DOCS=1"
