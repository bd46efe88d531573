"""Deployments by scenario files: commands above the line, what the controllers did below it.

`RECORD=1 pytest tests/scenarios` writes what happens now; commit it only when it is understood.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.simulated_cluster import Cluster, deployment

from timonier.api.types import apps_v1, core_v1
from timonier.controllers.deployment.controller import DeploymentController
from timonier.controllers.replicaset import ReplicaSetController
from timonier.reconcile.snapshot import clone

SCENARIOS = sorted(Path(__file__).parent.joinpath("deployment").glob("*.txt"))


class Story:
    """Runs the commands of one file and writes down what is scaled, and what the Deployment says of itself."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.broken: set[str] = set()
        self.lines: list[str] = []
        self.told = 0

    def command(self, line: str) -> None:
        verb, *words = line.split()
        plain = [word for word in words if "=" not in word]
        options = {key: int(value) if value.isdigit() else value for key, _, value in
                   (word.partition("=") for word in words if "=" in word)}
        getattr(self, verb.replace("-", "_"))(*plain, **options)

    def create(self, _kind: str, name: str, **options) -> None:
        self.cluster.add(deployment(name, **options))

    def change(self, name: str, change) -> None:
        found = clone(self.cluster.mirrors[apps_v1.Deployment].objects[f"default/{name}"])
        change(found)
        self.cluster.put(found)

    def set_image(self, name: str, image: str) -> None:
        self.change(name, lambda each: setattr(each.spec.template.spec.containers[0], "image", image))

    def scale(self, name: str, replicas: str) -> None:
        self.change(name, lambda each: setattr(each.spec, "replicas", int(replicas)))

    def pause(self, name: str) -> None:
        self.change(name, lambda each: setattr(each.spec, "paused", True))

    def resume(self, name: str) -> None:
        self.change(name, lambda each: setattr(each.spec, "paused", None))

    def breaks(self, image: str) -> None:
        self.broken.add(image)

    def advance(self, seconds: str) -> None:
        self.cluster.now += float(seconds)
        self.controllers()

    def controllers(self) -> bool:
        sets = ReplicaSetController(apps_v1.ReplicaSet)
        return self.cluster.run(DeploymentController(), apps_v1.Deployment) | \
            self.cluster.run(sets, apps_v1.ReplicaSet)

    def settle(self) -> None:
        def works(pod: core_v1.Pod) -> bool:
            return pod.spec.containers[0].image not in self.broken

        for _ in range(300):
            if not self.controllers() | self.cluster.tick(works):
                self.tell()
                return
        raise AssertionError("does not settle")

    def tell(self) -> None:
        images = {each.metadata.name: each.spec.template.spec.containers[0].image
                  for each in self.cluster.objects(apps_v1.ReplicaSet)}
        steps = []
        for note in self.cluster.notes[self.told:]:
            if note.reason == "ScalingReplicaSet":
                words = note.message.split()
                steps.append(f"{note.about.metadata.name}-{images.get(words[4], '?')} {words[6]}→{words[8]}")
        self.told = len(self.cluster.notes)
        self.lines.append(", ".join(steps) or "nothing is scaled")
        for each in self.cluster.objects(apps_v1.Deployment):
            status = each.status
            self.lines.append(f"  {each.metadata.name}: {status.readyReplicas}/{each.spec.replicas} ready, "
                              f"{status.updatedReplicas} updated, {status.availableReplicas} available, "
                              f"revision {each.metadata.annotations.get('deployment.kubernetes.io/revision')}")
            self.lines += [f"  {c.type}={c.status} {c.reason}" for c in sorted(status.conditions, key=lambda c: c.type)]


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in SCENARIOS])
def test_deployments_behave_as_recorded(path: Path) -> None:
    commands, _, expected = path.read_text().partition("----\n")
    story = Story()
    for line in commands.splitlines():
        if line.strip() and not line.startswith("#"):
            story.command(line)
    happened = "\n".join(story.lines) + "\n"
    if os.environ.get("RECORD"):
        path.write_text(f"{commands}----\n{happened}")
        return
    assert happened == expected
