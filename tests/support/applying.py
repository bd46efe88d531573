"""What tests of server-side apply send, and how they read who manages what."""

from __future__ import annotations

from typing import Any

from support.api_server import Cluster, Reply

APPLY = "application/apply-patch+yaml"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
WEB = f"{DEPLOYMENTS}/web"
CONFIGS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


async def apply(cluster: Cluster, url: str, body: Any, manager: str = "me", more: str = "") -> Reply:
    return await cluster.call("PATCH", f"{url}?fieldManager={manager}{more}", body, content_type=APPLY)


def deployment(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": "nginx"}]}}} | spec}


def asked(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}


def managers(obj: Any) -> dict[tuple[str, str, str], Any]:
    """The sets of fields of an object by manager, operation and subresource."""
    return {(entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
            for entry in obj["metadata"].get("managedFields", [])}
