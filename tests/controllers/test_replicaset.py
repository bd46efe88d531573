"""ReplicaSets: as many pods as asked for, the right ones gone, and the truth told about it."""

from __future__ import annotations

import random

import pytest
from support.simulated_cluster import START, Cluster, template

from timonier.api import errors, times
from timonier.api.types import apps_v1, core_v1, meta_v1
from timonier.controllers.replicaset import ReplicaSetController
from timonier.controllers.shared.ownership import controller_reference
from timonier.controllers.shared.pods import least_useful
from timonier.reconcile.plan import Outcome
from timonier.reconcile.snapshot import clone

CONTROLLER = ReplicaSetController(apps_v1.ReplicaSet)


def replica_set(replicas: int = 3, **spec) -> apps_v1.ReplicaSet:
    return apps_v1.ReplicaSet(
        metadata=meta_v1.ObjectMeta(name="web", namespace="default"),
        spec=apps_v1.ReplicaSetSpec(replicas=replicas, selector=meta_v1.LabelSelector(matchLabels={"app": "web"}),
                                    template=template("v1"), **spec))


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def settle(cluster: Cluster) -> None:
    while cluster.run(CONTROLLER, apps_v1.ReplicaSet) | cluster.tick(lambda pod: True):
        pass


def pods(cluster: Cluster) -> list[core_v1.Pod]:
    return cluster.objects(core_v1.Pod)


def status(cluster: Cluster) -> apps_v1.ReplicaSetStatus:
    return cluster.objects(apps_v1.ReplicaSet)[0].status


def resize(cluster: Cluster, replicas: int) -> None:
    changed = clone(cluster.objects(apps_v1.ReplicaSet)[0])
    changed.spec.replicas = replicas
    cluster.put(changed)


def test_pods_are_made_from_the_template_and_owned(cluster):
    owner = cluster.add(replica_set())
    settle(cluster)
    assert len(pods(cluster)) == 3
    pod = pods(cluster)[0]
    assert pod.metadata.ownerReferences == [controller_reference(owner)]
    assert pod.metadata.generateName == "web-"
    assert pod.metadata.labels == {"app": "web"}
    assert (status(cluster).replicas, status(cluster).readyReplicas, status(cluster).availableReplicas) == (3, 3, 3)
    assert [note.message for note in cluster.notes] == [f"Created pod: {each.metadata.name}" for each in pods(cluster)]


def test_a_lost_pod_is_replaced(cluster):
    cluster.add(replica_set())
    settle(cluster)
    cluster.delete(core_v1.Pod, f"default/{pods(cluster)[0].metadata.name}")
    settle(cluster)
    assert len(pods(cluster)) == 3


def test_pods_that_ended_do_not_count(cluster):
    cluster.add(replica_set(1))
    settle(cluster)
    failed = clone(pods(cluster)[0])
    failed.status.phase = "Failed"
    cluster.put(failed)
    settle(cluster)
    assert len(pods(cluster)) == 2
    assert status(cluster).replicas == 1


def test_a_pod_without_owner_is_adopted_and_a_surplus_one_deleted(cluster):
    cluster.add(core_v1.Pod(metadata=meta_v1.ObjectMeta(name="mine", namespace="default", labels={"app": "web"})))
    cluster.add(replica_set(1))
    settle(cluster)
    assert [pod.metadata.name for pod in pods(cluster)] == ["mine"]
    assert pods(cluster)[0].metadata.ownerReferences[0].name == "web"


def test_a_pod_whose_labels_leave_is_released_and_replaced(cluster):
    cluster.add(replica_set(1))
    settle(cluster)
    left = clone(pods(cluster)[0])
    left.metadata.labels = {"app": "debug"}
    cluster.put(left)
    settle(cluster)
    assert sorted((pod.metadata.labels["app"], len(pod.metadata.ownerReferences)) for pod in pods(cluster)) == \
        [("debug", 0), ("web", 1)]


def test_pods_of_another_owner_are_left_alone(cluster):
    other = meta_v1.OwnerReference(apiVersion="v1", kind="X", name="x", uid="other", controller=True)
    cluster.add(core_v1.Pod(metadata=meta_v1.ObjectMeta(name="theirs", namespace="default", labels={"app": "web"},
                                                        ownerReferences=[other])))
    cluster.add(replica_set(0))
    settle(cluster)
    assert [pod.metadata.name for pod in pods(cluster)] == ["theirs"]


def test_a_set_that_is_being_deleted_does_nothing_more(cluster):
    cluster.add(replica_set(3))
    going = clone(cluster.objects(apps_v1.ReplicaSet)[0])
    going.metadata.deletionTimestamp = times.rfc3339(START)
    cluster.put(going)
    settle(cluster)
    assert pods(cluster) == []


def test_scaling_down_is_told(cluster):
    cluster.add(replica_set(3))
    settle(cluster)
    resize(cluster, 1)
    settle(cluster)
    assert len(pods(cluster)) == 1
    assert [note.reason for note in cluster.notes] == ["SuccessfulCreate"] * 3 + ["SuccessfulDelete"] * 2


def test_a_refusal_is_told_in_event_and_condition_until_it_passes(cluster):
    cluster.refuse = lambda obj: errors.Forbidden("exceeded quota") if isinstance(obj, core_v1.Pod) else None
    cluster.add(replica_set(3))
    for _ in range(3):
        cluster.apply(CONTROLLER.plan("default/web", cluster.snapshot, cluster.now))
    condition = status(cluster).conditions[0]
    assert (condition.type, condition.status, condition.reason) == ("ReplicaFailure", "True", "FailedCreate")
    assert cluster.notes[0].message == "Error creating: exceeded quota"
    assert cluster.notes[0].type == "Warning"
    cluster.refuse = lambda obj: None
    settle(cluster)
    assert status(cluster).conditions == []


def test_availability_waits_for_min_ready_seconds(cluster):
    cluster.add(replica_set(1, minReadySeconds=30))
    settle(cluster)
    assert (status(cluster).readyReplicas, status(cluster).availableReplicas) == (1, 0)
    plan = CONTROLLER.plan("default/web", cluster.snapshot, cluster.now)
    assert 25 < plan.then(Outcome()).again <= 30
    cluster.now += 31
    settle(cluster)
    assert status(cluster).availableReplicas == 1


def test_the_replication_controller_is_served_alike(cluster):
    cluster.add(core_v1.ReplicationController(
        metadata=meta_v1.ObjectMeta(name="old", namespace="default"),
        spec=core_v1.ReplicationControllerSpec(replicas=2, selector={"app": "web"}, template=template("v1"))))
    controller = ReplicaSetController(core_v1.ReplicationController)
    cluster.run(controller, core_v1.ReplicationController)
    assert [pod.metadata.ownerReferences[0].kind for pod in pods(cluster)] == ["ReplicationController"] * 2


def pod(name: str, *, node: str = "n", phase: str = "Running", ready: float = 100, restarts: int = 0, age: float = 1000,
        cost: str = "") -> core_v1.Pod:
    conditions = [core_v1.PodCondition(type="Ready", status="True" if ready else "False",
                                       lastTransitionTime=times.rfc3339(START - ready))]
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name=name, uid=name, creationTimestamp=times.rfc3339(START - age),
                                    annotations={"controller.kubernetes.io/pod-deletion-cost": cost} if cost else {}),
        spec=core_v1.PodSpec(nodeName=node),
        status=core_v1.PodStatus(phase=phase, conditions=conditions,
                                 containerStatuses=[core_v1.ContainerStatus(name="c", restartCount=restarts)]))


RANKED = [
    pod("unassigned", node="", phase="Pending", ready=0),
    pod("pending", phase="Pending", ready=0),
    pod("unknown", phase="Unknown", ready=0),
    pod("not-ready", ready=0),
    pod("cheap", cost="-5"),
    pod("crowded", node="crowd"),
    pod("just-ready", ready=1),
    pod("restarted", restarts=3),
    pod("young", age=110),
    pod("old", age=100_000),
    pod("dear", cost="10"),
]


def test_the_least_useful_pod_goes_first():
    shuffled = [*RANKED]
    random.Random(1).shuffle(shuffled)
    order = least_useful(shuffled, len(shuffled), START, {"n": 1, "crowd": 4})
    assert [each.metadata.name for each in order] == [each.metadata.name for each in RANKED]
