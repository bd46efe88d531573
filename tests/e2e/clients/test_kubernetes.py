"""The official Python client, unmodified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.control_plane import ControlPlane

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def api(plane: ControlPlane) -> Iterator[Any]:
    from kubernetes import client, config

    with config.new_client_from_config(str(plane.kubeconfig)) as made:
        yield client.CoreV1Api(made)


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": "test"}},
            "data": data}


def test_objects_are_created_read_replaced_patched_and_deleted(api: Any, namespace: str) -> None:
    from kubernetes.client.exceptions import ApiException

    made = api.create_namespaced_config_map(namespace, config_map("a", x="1"))
    made.data["x"] = "2"
    assert api.replace_namespaced_config_map("a", namespace, made).data == {"x": "2"}
    assert api.patch_namespaced_config_map("a", namespace, {"data": {"y": "3"}}).data == {"x": "2", "y": "3"}
    with pytest.raises(ApiException) as stale:
        api.replace_namespaced_config_map("a", namespace, made)
    assert stale.value.status == 409
    api.delete_namespaced_config_map("a", namespace)
    with pytest.raises(ApiException) as gone:
        api.read_namespaced_config_map("a", namespace)
    assert gone.value.status == 404


def test_a_list_comes_in_pieces_of_one_moment(api: Any, namespace: str) -> None:
    for number in range(5):
        api.create_namespaced_config_map(namespace, config_map(f"c{number}"))
    first = api.list_namespaced_config_map(namespace, limit=2, label_selector="app=test")
    api.create_namespaced_config_map(namespace, config_map("later"))
    names = [item.metadata.name for item in first.items]
    piece = first
    while piece.metadata._continue:
        piece = api.list_namespaced_config_map(namespace, limit=2, label_selector="app=test",
                                               _continue=piece.metadata._continue)
        names += [item.metadata.name for item in piece.items]
    assert names == [f"c{number}" for number in range(5)]


def test_a_watch_tells_what_happens_from_a_list_on(api: Any, namespace: str) -> None:
    from kubernetes import watch

    begin = api.list_namespaced_config_map(namespace).metadata.resource_version
    api.create_namespaced_config_map(namespace, config_map("w", x="1"))
    api.patch_namespaced_config_map("w", namespace, {"data": {"x": "2"}})
    api.delete_namespaced_config_map("w", namespace)
    seen = []
    for event in watch.Watch().stream(api.list_namespaced_config_map, namespace, resource_version=begin,
                                      field_selector="metadata.name=w", timeout_seconds=20):
        seen.append(event["type"])
        if event["type"] == "DELETED":
            break
    assert seen == ["ADDED", "MODIFIED", "DELETED"]


def test_the_dynamic_client_finds_and_applies_a_kind_of_its_own(api: Any, namespace: str, baskets: str) -> None:
    from kubernetes.dynamic import DynamicClient

    kind = DynamicClient(api.api_client).resources.get(api_version=f"{baskets}/v1", kind="Basket")
    body = {"apiVersion": f"{baskets}/v1", "kind": "Basket", "metadata": {"name": "b"}, "spec": {"colour": "red"}}
    made = kind.server_side_apply(body=body, name="b", namespace=namespace, field_manager="me")
    assert made.spec.to_dict() == {"colour": "red", "size": 3}
    assert [entry.manager for entry in made.metadata.managedFields] == ["me"]
    assert [item.metadata.name for item in kind.get(namespace=namespace).items] == ["b"]
    kind.delete(name="b", namespace=namespace)
    assert kind.get(namespace=namespace).items == []


def test_a_service_account_s_token_works_as_far_as_its_rights_go(api: Any, plane: ControlPlane,
                                                                 namespace: str) -> None:
    from kubernetes import client
    from kubernetes.client.exceptions import ApiException

    plane.kubectl("create", "rolebinding", "reads", "--clusterrole=view", f"--serviceaccount={namespace}:default",
                  "-n", namespace)
    token = api.create_namespaced_service_account_token(
        "default", namespace, {"spec": {"audiences": [], "expirationSeconds": 600}}).status.token
    settings = client.Configuration(host=plane.url)
    settings.api_key = {"authorization": f"Bearer {token}"}
    settings.ssl_ca_cert = str(plane.authority.pair.certificate)
    account = client.CoreV1Api(client.ApiClient(settings))
    assert account.list_namespaced_config_map(namespace).items
    with pytest.raises(ApiException) as refused:
        account.create_namespaced_config_map(namespace, config_map("no"))
    assert refused.value.status == 403
