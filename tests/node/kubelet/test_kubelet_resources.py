"""QoS classes and what the kernel is told."""

from __future__ import annotations

from typing import Any

import pytest
from support.kubelet_bench import make_pod

from timonier.node.kubelet import resources as res


def asks(cpu: str = "", memory: str = "", limit_cpu: str = "", limit_memory: str = "") -> dict[str, Any]:
    requests = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value}
    limits = {name: value for name, value in (("cpu", limit_cpu), ("memory", limit_memory)) if value}
    return {"resources": {"requests": requests, "limits": limits}}


@pytest.mark.parametrize(("containers", "expected"), [
    pytest.param([asks()], res.BEST_EFFORT, id="nothing-is-best-effort"),
    pytest.param([asks("1", "1Gi", "1", "1Gi")], res.GUARANTEED, id="all-equal-is-guaranteed"),
    pytest.param([asks(limit_cpu="1", limit_memory="1Gi")], res.GUARANTEED, id="limits-alone-are-guaranteed"),
    pytest.param([asks("1", "1Gi", "2", "1Gi")], res.BURSTABLE, id="less-than-the-limit-is-burstable"),
    pytest.param([asks("1", "1Gi", "1", "1Gi"), asks()], res.BURSTABLE, id="one-without-is-burstable"),
    pytest.param([asks(memory="1Mi")], res.BURSTABLE, id="any-request-is-burstable"),
])
def test_qos_class(containers: list[dict[str, Any]], expected: str) -> None:
    assert res.qos_class(make_pod("p", *[{"name": f"c{i}"} | c for i, c in enumerate(containers)])) == expected


def test_cpu_becomes_shares_and_quota() -> None:
    assert (res.shares(0), res.shares(1000), res.shares(250), res.shares(10**9)) == (2, 1024, 256, 262_144)
    assert (res.quota(0), res.quota(1), res.quota(500), res.quota(2000)) == (0, 1000, 50_000, 200_000)
    assert (res.weight(2), res.weight(1024), res.weight(262_144)) == (1, 39, 10_000)


def test_pod_needs_its_containers_together_or_its_largest_init_container() -> None:
    small, large = asks("100m", "10Mi", "200m", "20Mi"), asks("1", "5Mi", "1", "5Mi")
    pod = make_pod("p", {"name": "a"} | small, {"name": "b"} | small, initContainers=[{"name": "i"} | large])
    assert res.pod_amounts(pod) == res.Amounts(1000, 1000, 20 << 20, 40 << 20)
    sidecar = make_pod("p", {"name": "a"} | small, initContainers=[{"name": "s", "restartPolicy": "Always"} | large])
    assert res.pod_amounts(sidecar) == res.Amounts(1100, 1200, 15 << 20, 25 << 20)


def test_one_container_without_a_limit_leaves_the_pod_without_one() -> None:
    pod = make_pod("p", {"name": "a"} | asks("1", "1Gi", "1", "1Gi"), {"name": "b"} | asks("1"))
    assert (res.pod_amounts(pod).cpu_limit, res.pod_amounts(pod).memory_limit) == (0, 0)
    assert res.pod_amounts(pod).cpu_request == 2000


def test_oom_score_follows_the_class_and_the_request() -> None:
    def score(**spec: Any) -> int:
        return res.oom_score(make_pod("p", spec), make_pod("p", spec).spec.containers[0], 1 << 30)
    assert score(**asks()) == 1000
    assert score(**asks("1", "1Gi", "1", "1Gi")) == -997
    assert score(**asks(memory="512Mi")) == 500
    assert score(**asks(memory="1Gi")) == 3
    assert score(**asks(memory="1")) == 999
