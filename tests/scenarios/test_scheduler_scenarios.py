"""The scheduling cycle by scenario files: what happens in the cluster above the line, what the scheduler does below it.

A line is a verb, a name, and what the builders take, as YAML in one line. Bindings arrive through the watch at once,
evicted pods leave when the scenario says so. `RECORD=1 pytest tests/scenarios` writes what happens now; commit it only
when it is understood.
"""

import os
from pathlib import Path

import pytest
import yaml
from support.scheduling import node, pod

from timonier.api.types import core_v1
from timonier.reconcile.snapshot import clone
from timonier.scheduler.cycle import Bind, Cycle
from timonier.scheduler.settings import SchedulerSettings

SCENARIOS = sorted(Path(__file__).parent.joinpath("scheduler").glob("*.txt"))


class Story:
    """Runs the commands of one file and writes down each decision."""

    def __init__(self) -> None:
        self.now = 0.0
        self.cycle = Cycle(SchedulerSettings(Path()), lambda: self.now)
        self.nodes: dict[str, core_v1.Node] = {}
        self.pods: dict[str, core_v1.Pod] = {}
        self.refusing = False
        self.lines: list[str] = []

    def command(self, line: str) -> None:
        verb, name, rest = [*line.split(" ", 2), "", ""][:3]
        options = yaml.safe_load(rest) if rest else {}
        getattr(self, verb.replace("-", "_"))(name, **options)

    def node(self, name: str, **options) -> None:
        options["taints"] = tuple(options.get("taints", ()))
        old, self.nodes[name] = self.nodes.get(name), node(name, **options)
        self.cycle.node_changed(old, self.nodes[name])

    def remove_node(self, name: str) -> None:
        self.cycle.node_changed(self.nodes.pop(name), None)

    def pod(self, name: str, **options) -> None:
        self.put(pod(name, **options))

    def put(self, new: core_v1.Pod) -> None:
        old = self.pods.get(new.metadata.name)
        self.pods[new.metadata.name] = new
        self.cycle.pod_changed(old, new)

    def remove(self, name: str) -> None:
        self.cycle.pod_changed(self.pods.pop(name), None)

    def finish(self, name: str) -> None:
        done = clone(self.pods[name])
        done.status.phase = "Succeeded"
        self.put(done)

    def ungate(self, name: str) -> None:
        free = clone(self.pods[name])
        free.spec.schedulingGates = []
        self.put(free)

    def label(self, name: str, **labels: str) -> None:
        changed = clone(self.pods[name])
        changed.metadata.labels |= labels
        self.put(changed)

    def binding(self, how: str) -> None:
        self.refusing = how == "fails"

    def advance(self, seconds: str) -> None:
        self.now += float(seconds)

    def settle(self, _: str) -> None:
        """Decide until no pod is ready."""
        said = len(self.lines)
        while task := self.cycle.turn():
            name = task.entry.request.name
            if not isinstance(task, Bind):
                self.lines.append(f"{name}: {task.message}")
                if task.preemption.node:
                    victims = ", ".join(sorted(victim.name for victim in task.preemption.victims))
                    self.lines.append(f"  evicts {victims} from {task.preemption.node}")
            elif self.refusing:
                self.lines.append(f"{name} → {task.node}, refused")
                self.cycle.not_bound(task.entry, gone=False)
            else:
                self.lines.append(f"{name} → {task.node}")
                bound = clone(self.pods[name])
                bound.spec.nodeName = task.node
                self.put(bound)
                self.cycle.bound(task.entry)
        if len(self.lines) == said:
            self.lines.append("nothing to decide")


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scheduler_scenario(path: Path):
    above, _, below = path.read_text().partition("----\n")
    story = Story()
    for line in above.splitlines():
        if line and not line.startswith("#"):
            story.command(line)
    told = "".join(f"{line}\n" for line in story.lines)
    if os.environ.get("RECORD"):
        path.write_text(f"{above}----\n{told}")
    else:
        assert told == below
