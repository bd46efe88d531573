"""lightkube, unmodified."""

from __future__ import annotations

from typing import Any

import pytest
from support.control_plane import ControlPlane

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def client(plane: ControlPlane, namespace: str) -> Any:
    from lightkube import Client, KubeConfig

    return Client(config=KubeConfig.from_file(plane.kubeconfig), namespace=namespace, field_manager="lightkube")


def deployment(replicas: int) -> Any:
    from lightkube.models.apps_v1 import DeploymentSpec
    from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
    from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
    from lightkube.resources.apps_v1 import Deployment

    labels = {"app": "web"}
    return Deployment(metadata=ObjectMeta(name="web"), spec=DeploymentSpec(
        replicas=replicas, selector=LabelSelector(matchLabels=labels), template=PodTemplateSpec(
            metadata=ObjectMeta(labels=labels), spec=PodSpec(containers=[Container(name="web", image="nginx")]))))


def test_apply_creates_changes_and_names_who_disagrees(client: Any) -> None:
    from lightkube.core.exceptions import ApiError
    from lightkube.resources.apps_v1 import Deployment

    assert client.apply(deployment(1)).spec.replicas == 1
    assert client.apply(deployment(2)).spec.replicas == 2
    with pytest.raises(ApiError) as conflict:
        client.apply(deployment(3), field_manager="another")
    assert conflict.value.status.code == 409
    assert 'conflict with "lightkube": .spec.replicas' in conflict.value.status.message
    assert client.apply(deployment(3), field_manager="another", force=True).spec.replicas == 3
    client.delete(Deployment, "web")


def test_a_deployment_becomes_pods_that_a_watch_shows(client: Any) -> None:
    from lightkube.resources.core_v1 import Pod

    client.create(deployment(2))
    names = set()
    for event, pod in client.watch(Pod, labels={"app": "web"}, server_timeout=20):
        if event == "ADDED":
            names.add(pod.metadata.name)
        if len(names) == 2:
            break
    assert len(list(client.list(Pod, labels={"app": "web"}))) == 2


def test_a_generic_resource_has_its_status_behind_its_own_door(client: Any, baskets: str) -> None:
    from lightkube.generic_resource import create_namespaced_resource
    from lightkube.types import PatchType

    Basket: Any = create_namespaced_resource(baskets, "v1", "Basket", "baskets")
    client.create(Basket(metadata={"name": "b"}, spec={"size": 5}, status={"full": True}))
    assert client.get(Basket, "b").status is None
    patched = client.patch(Basket.Status, "b", {"status": {"full": True}}, patch_type=PatchType.MERGE)
    assert patched.status == {"full": True}
    assert patched.spec == {"size": 5}
