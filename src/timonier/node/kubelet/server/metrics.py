"""`/metrics`: what the kubelet's process uses and what it runs, under the kubelet's metric names."""

from __future__ import annotations

from timonier.component import metrics
from timonier.node.cri.contract import SandboxState
from timonier.node.kubelet.server.host import Host


async def text(host: Host) -> bytes:
    """Prometheus's text format. The library is imported when somebody asks."""
    from prometheus_client import Gauge
    from prometheus_client.exposition import generate_latest

    registry = metrics.registry()
    Gauge("kubelet_node_name", "The node's name. The count is always 1.", ["node"], registry=registry).labels(
        host.node_name).set(1)
    Gauge("kubelet_running_pods", "Number of pods that have a running pod sandbox", registry=registry).set(
        sum(each.state is SandboxState.READY for each in await host.runtime.sandboxes()))
    containers = Gauge("kubelet_running_containers", "Number of containers by state", ["container_state"],
                       registry=registry)
    for each in await host.runtime.containers():
        containers.labels(each.state.value).inc()
    return generate_latest(registry) + host.metrics()
