"""An operator on kopf: every Basket gets a ConfigMap that follows it, and is let go in order."""

from __future__ import annotations

from typing import Any

import kopf
from kubernetes import client, config


@kopf.on.startup()
def begin(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.posting.level = 0
    config.load_kube_config()


@kopf.on.create("test.example.com", "v1", "baskets")
def create(spec: Any, name: str, namespace: str, **_: Any) -> dict[str, str]:
    child = {"metadata": {"name": name}, "data": {"size": str(spec["size"])}}
    kopf.adopt(child)
    client.CoreV1Api().create_namespaced_config_map(namespace, child)
    return {"configMap": name}


@kopf.on.update("test.example.com", "v1", "baskets", field="spec.size")
def resize(new: int, name: str, namespace: str, **_: Any) -> None:
    client.CoreV1Api().patch_namespaced_config_map(name, namespace, {"data": {"size": str(new)}})


@kopf.on.delete("test.example.com", "v1", "baskets")
def let_go(name: str, namespace: str, **_: Any) -> None:
    client.CoreV1Api().create_namespaced_config_map(namespace, {"metadata": {"name": f"farewell-{name}"}})
