"""kr8s, unmodified."""

from __future__ import annotations

from typing import Any

import pytest
from support.control_plane import ControlPlane

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def api(plane: ControlPlane, namespace: str) -> Any:
    import kr8s

    return kr8s.api(kubeconfig=str(plane.kubeconfig), namespace=namespace)


def test_objects_are_created_labelled_found_and_deleted(api: Any, namespace: str) -> None:
    from kr8s.objects import ConfigMap

    made = ConfigMap({"metadata": {"name": "a", "namespace": namespace}, "data": {"x": "1"}}, api=api)
    made.create()
    made.label({"colour": "red"})
    made.annotate({"why": "because"})
    made.patch({"data": {"y": "2"}})
    found = list(api.get("configmaps", namespace=namespace, label_selector={"colour": "red"}))
    assert [(each.name, each.raw["data"].to_dict()) for each in found] == [("a", {"x": "1", "y": "2"})]
    made.delete()
    assert not made.exists()


def test_a_deployment_is_scaled_and_its_pods_follow(api: Any, namespace: str) -> None:
    from kr8s.objects import Deployment
    from support.cluster import eventually

    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {
        "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}}
    made = Deployment({"metadata": {"name": "web", "namespace": namespace}, "spec": spec}, api=api)
    made.create()
    made.scale(3)
    eventually(lambda: len(list(api.get("pods", namespace=namespace))) == 3)


def test_a_kind_of_its_own_is_found_by_discovery(api: Any, namespace: str, baskets: str) -> None:
    from kr8s.objects import new_class

    Basket: Any = new_class(kind="Basket", version=f"{baskets}/v1", namespaced=True, plural="baskets")
    Basket({"metadata": {"name": "b", "namespace": namespace}, "spec": {"colour": "red"}}, api=api).create()
    assert [each.spec.to_dict() for each in api.get("baskets.test.example.com", namespace=namespace)] == [
        {"colour": "red", "size": 3}]
