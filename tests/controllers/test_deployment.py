"""Deployments: what scenario files do not show: names, ownership, collisions, refusals, words."""

from __future__ import annotations

import pytest
from support.simulated_cluster import START, Cluster, deployment, template

from timonier.api import errors, times
from timonier.api.types import apps_v1, meta_v1
from timonier.controllers.deployment import revisions
from timonier.controllers.deployment import status as tell
from timonier.controllers.deployment.controller import DeploymentController
from timonier.reconcile.snapshot import clone

CONTROLLER = DeploymentController()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def step(cluster: Cluster) -> None:
    cluster.apply(CONTROLLER.plan("default/web", cluster.snapshot, cluster.now))


def current(cluster: Cluster) -> apps_v1.Deployment:
    return cluster.objects(apps_v1.Deployment)[0]


def sets(cluster: Cluster) -> list[apps_v1.ReplicaSet]:
    return cluster.objects(apps_v1.ReplicaSet)


def change(cluster: Cluster, made) -> None:
    changed = clone(current(cluster))
    made(changed)
    cluster.put(changed)


def test_a_set_is_named_after_its_template(cluster):
    cluster.add(deployment("web"))
    step(cluster)
    found = sets(cluster)[0]
    name = revisions.template_hash(template("v1"), 0)
    assert found.metadata.name == f"web-{name}"
    assert found.spec.selector.matchLabels == {"app": "web", "pod-template-hash": name}
    assert found.spec.template.metadata.labels == {"app": "web", "pod-template-hash": name}
    assert found.metadata.annotations == {"deployment.kubernetes.io/revision": "1",
                                          "deployment.kubernetes.io/desired-replicas": "3",
                                          "deployment.kubernetes.io/max-replicas": "4"}


def test_the_first_step_is_told_in_kubernetes_words(cluster):
    cluster.add(deployment("web"))
    step(cluster)
    name = sets(cluster)[0].metadata.name
    assert [note.message for note in cluster.notes] == [f"Scaled up replica set {name} from 0 to 3"]
    found = tell.condition(current(cluster).status, "Progressing")
    assert (found.reason, found.message) == ("NewReplicaSetCreated", f'Created new replica set "{name}"')
    assert current(cluster).metadata.annotations["deployment.kubernetes.io/revision"] == "1"


def test_the_annotations_of_a_deployment_are_its_sets_but_for_kubectls(cluster):
    made = deployment("web")
    made.metadata.annotations = {"kubernetes.io/change-cause": "first", revisions.REVISION: "99",
                                 "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    cluster.add(made)
    step(cluster)
    assert sets(cluster)[0].metadata.annotations["kubernetes.io/change-cause"] == "first"
    assert "kubectl.kubernetes.io/last-applied-configuration" not in sets(cluster)[0].metadata.annotations
    assert sets(cluster)[0].metadata.annotations[revisions.REVISION] == "1"


def test_a_rollback_remembers_the_numbers_that_a_revision_had(cluster):
    cluster.add(deployment("web", replicas=0))
    for image in ("v2", "v1"):
        step(cluster)
        change(cluster, lambda each, image=image: setattr(each.spec.template.spec.containers[0], "image", image))
    for _ in range(3):
        step(cluster)
    annotations = {each.spec.template.spec.containers[0].image: each.metadata.annotations for each in sets(cluster)}
    assert (annotations["v1"][revisions.REVISION], annotations["v1"][revisions.HISTORY]) == ("3", "1")
    assert len(sets(cluster)) == 2


def test_a_set_that_matches_and_belongs_to_nobody_is_adopted(cluster):
    cluster.add(apps_v1.ReplicaSet(
        metadata=meta_v1.ObjectMeta(name="stray", namespace="default", labels={"app": "web"}),
        spec=apps_v1.ReplicaSetSpec(replicas=0, template=template("v1"))))
    cluster.add(deployment("web"))
    step(cluster)
    step(cluster)
    assert [each.metadata.name for each in sets(cluster)] == ["stray"]
    assert sets(cluster)[0].metadata.ownerReferences[0].name == "web"
    assert tell.condition(current(cluster).status, "Progressing").reason == "FoundNewReplicaSet"


def test_a_name_that_is_taken_is_counted_as_a_collision_and_another_is_found(cluster):
    name = revisions.template_hash(template("v1"), 0)
    cluster.add(apps_v1.ReplicaSet(
        metadata=meta_v1.ObjectMeta(name=f"web-{name}", namespace="default", labels={"app": "else"}),
        spec=apps_v1.ReplicaSetSpec(replicas=0, template=template("else"))))
    cluster.add(deployment("web"))
    step(cluster)
    assert current(cluster).status.collisionCount == 1
    step(cluster)
    assert f"web-{revisions.template_hash(template('v1'), 1)}" in {each.metadata.name for each in sets(cluster)}


def test_a_set_that_is_refused_is_told(cluster):
    cluster.refuse = lambda obj: errors.Forbidden("no more sets") if isinstance(obj, apps_v1.ReplicaSet) else None
    cluster.add(deployment("web"))
    step(cluster)
    found = tell.condition(current(cluster).status, "Progressing")
    assert (found.status, found.reason) == ("False", "ReplicaSetCreateError")
    assert cluster.notes[0].reason == "FailedCreate"
    assert "no more sets" in cluster.notes[0].message


def test_a_deployment_that_selects_everything_is_warned(cluster):
    made = deployment("web")
    made.spec.selector = meta_v1.LabelSelector()
    cluster.add(made)
    step(cluster)
    assert [note.reason for note in cluster.notes] == ["SelectingAll"]
    assert sets(cluster) == []


def test_a_deployment_that_is_being_deleted_scales_nothing(cluster):
    cluster.add(deployment("web"))
    step(cluster)
    change(cluster, lambda each: (setattr(each.spec, "replicas", 9),
                                  setattr(each.metadata, "deletionTimestamp", times.rfc3339(START))))
    step(cluster)
    assert sets(cluster)[0].spec.replicas == 3


def test_a_rollout_that_is_under_way_is_looked_at_when_its_deadline_is_over(cluster):
    cluster.add(deployment("web"))
    step(cluster)
    plan = CONTROLLER.plan("default/web", cluster.snapshot, cluster.now + 100)
    from timonier.reconcile.plan import Outcome
    assert plan.then(Outcome()).again == 501


def test_pods_may_not_be_created_is_passed_on(cluster):
    cluster.add(deployment("web"))
    step(cluster)
    failing = clone(sets(cluster)[0])
    failing.status.conditions = [apps_v1.ReplicaSetCondition(
        type="ReplicaFailure", status="True", reason="FailedCreate", message="exceeded quota")]
    cluster.put(failing)
    step(cluster)
    found = tell.condition(current(cluster).status, "ReplicaFailure")
    assert (found.reason, found.message) == ("FailedCreate", "exceeded quota")


def test_a_hash_is_the_same_for_the_same_template_and_spells_nothing():
    assert revisions.template_hash(template("v1"), 0) == revisions.template_hash(template("v1"), 0)
    assert revisions.template_hash(template("v1"), 0) != revisions.template_hash(template("v1"), 1)
    assert set(revisions.template_hash(template("v2"), 0)) <= set(revisions.ALPHABET)


def test_a_history_is_cut_at_its_start():
    history = ",".join(map(str, range(1000, 1400)))
    assert revisions.longer_history(history, 7).endswith(",1399,7")
    assert len(revisions.longer_history(history, 7)) <= revisions.HISTORY_LENGTH
