"""The pages of docs/ say what the code says: every command, setting, metric, kind and decision is on its page."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from support.api_server import running

from timonier.api.kinds import KINDS
from timonier.apiserver.audit.auditor import Auditor
from timonier.apiserver.audit.policy import Policy
from timonier.client.counts import SECONDS, TOTAL
from timonier.kit.clock import FakeClock
from timonier.main import ROLES, VERBS
from timonier.node.cri.contract import SandboxConfig
from timonier.node.cri.simulated import SimulatedRuntime
from timonier.node.kubelet.run import Kubelet
from timonier.node.kubelet.server import metrics as kubelet_metrics
from timonier.node.kubelet.server import stats
from timonier.reconcile.metrics import ROWS
from timonier.scheduler import metrics as scheduler_metrics
from timonier.scheduler.queue import SchedulingQueue

POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "None"}]}
ROOT = Path(__file__).parent.parent.parent
REFERENCE = ROOT / "docs" / "reference"
PROSE = sorted([ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
PATH = re.compile(r"`((?:[\w.<>-]+/)*[\w<>.*-]+(?:/|\.(?:py|md|txt|toml|proto)))`")
MADE_LATER = ("node-", "pki/", "logs/", "nodes/", "bench/results/")
"""What paths start with that a cluster or a bench makes."""
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
MODULE = re.compile(
    r"`((?:kit|api|store|apiserver|client|reconcile|controllers|scheduler|node|cluster|cli)(?:\.\w+)+)`")
NO_MODULES = frozenset({"cluster.local", "cluster.json", "store.db"})


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names_on(page: str) -> set[str]:
    """What stands in the first cell of the page's tables."""
    return set(re.findall(r"^\| `([^`]+)` \|", (REFERENCE / page).read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", ["commands.md", "settings.md", "expressions.md"])
def test_a_page_that_derives_from_the_code_is_as_the_code_says(page: str) -> None:
    assert (REFERENCE / page).read_text() == script("reference").PAGES[page](), "run: make docs"


def test_every_command_and_every_role_is_described() -> None:
    commands, settings = ((REFERENCE / page).read_text() for page in ("commands.md", "settings.md"))
    assert [name for name in VERBS if f"## timonier {name}" not in commands] == []
    assert [name for name in ROLES if f"## timonier {name}" not in settings] == []


def test_every_flag_and_every_argument_says_what_it_means() -> None:
    for page in ("commands.md", "settings.md"):
        assert re.findall(r"^.*\|\s*\|$", (REFERENCE / page).read_text(), re.MULTILINE) == []


async def exposed(folder: Path) -> set[str]:
    """Every metric that a process exposes or counts."""
    runtime = SimulatedRuntime(FakeClock(), "10.244.0.0/24")
    await runtime.run_sandbox(SandboxConfig(name="web", uid="u1", namespace="default"))
    counted = Kubelet.metrics(SimpleNamespace(reporter=None, list_pods=list))  # type: ignore[arg-type]
    host = SimpleNamespace(runtime=runtime, node_name="n1", metrics=lambda: counted, clock=FakeClock())
    scheduling = "\n".join(scheduler_metrics.render(scheduler_metrics.Attempts("default"), SchedulingQueue()))
    kubelet = [await kubelet_metrics.text(host), await stats.resource_metrics(host)]  # type: ignore[arg-type]
    auditor = Auditor(Policy(POLICY), [], FakeClock())
    async with running(folder, auditor=auditor) as cluster:
        server = cluster.server.metrics.text()
    texts = [scheduling.encode(), server, *kubelet]
    told = {name for text in texts for name in re.findall(r"# TYPE (\S+)", text.decode())}
    return {row[0] for row in ROWS} | {TOTAL, SECONDS} | told


async def test_the_page_of_metrics_has_those_that_are_exposed_and_no_others(tmp_path: Path) -> None:
    assert names_on("metrics.md") == await exposed(tmp_path)


def test_the_page_of_the_api_has_every_kind_with_its_subresources() -> None:
    assert dict(kinds_on_page()) == {kind.id: sorted(each.name for each in kind.subresources) for kind in KINDS}
    assert f"{len(KINDS)} kinds" in (REFERENCE / "api.md").read_text()


def kinds_on_page() -> Iterator[tuple[str, list[str]]]:
    version = ""
    for line in (REFERENCE / "api.md").read_text().partition("## Kinds")[2].partition("## ")[0].splitlines():
        if found := re.match(r"\| \*\*(\S+)\*\* \|", line):
            version = found[1]
        elif (found := re.match(r"\| ([A-Z]\w+) \|([a-z ]*)\| \S", line)) and found[1] != "Kind":
            yield f"{version}/{found[1]}", sorted(found[2].split())


def test_every_decision_has_a_number_of_its_own_and_a_place_in_the_index() -> None:
    numbers = [page.name[:4] for page in DECISIONS]
    assert sorted(set(numbers)) == numbers
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    assert [page.name for page in DECISIONS if f"]({page.name})" not in index] == []
    for page in DECISIONS:
        assert page.read_text().startswith(f"# {int(page.name[:4])}. "), page.name


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []
    assert [path for path in PATH.findall(text) if not exists(path)] == []
    assert [name for name in MODULE.findall(text) if not is_known(name)] == []


def exists(path: str) -> bool:
    """Whether a path names something, seen from the root or from the package. Patterns and placeholders are let be."""
    if "<" in path or "*" in path or path.startswith(MADE_LATER):
        return True
    places = (ROOT, ROOT / "src" / "timonier", ROOT / "src" / "timonier" / "node", ROOT / "docs", REFERENCE)
    return any((place / path).exists() for place in places)


def is_known(name: str) -> bool:
    """Whether a dotted name below `timonier` is a module, or something in one."""
    try:
        pkgutil.resolve_name(f"timonier.{name}")
    except (ImportError, AttributeError):
        return name in NO_MODULES
    return True
