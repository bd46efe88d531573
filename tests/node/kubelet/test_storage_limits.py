"""Pods that use more disk than they may are evicted, and are told why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.kubelet_bench import make_pod, node_bench

from timonier.node.kubelet.storage_limits import Usage, is_limited, size, verdict

MI = 1 << 20


def limited(limit: str) -> dict[str, Any]:
    return {"resources": {"limits": {"ephemeral-storage": limit}}}


def volume(**given: str) -> dict[str, Any]:
    return {"name": "v", "emptyDir": given}


VOLUME = make_pod("p", {}, volumes=[volume(sizeLimit="5Mi")])
ONE = make_pod("p", {"name": "a"} | limited("5Mi"), {"name": "b"})
BOTH = make_pod("p", {"name": "a"} | limited("5Mi"), {"name": "b"} | limited("5Mi"), volumes=[volume()])


@pytest.mark.parametrize(("pod", "usage", "message"), [
    pytest.param(VOLUME, Usage({"v": 5 * MI}), None, id="volume-within-its-limit"),
    pytest.param(VOLUME, Usage({"v": 6 * MI}), 'Usage of EmptyDir volume "v" exceeds the limit "5Mi". ', id="volume"),
    pytest.param(ONE, Usage({}, {"a": 6 * MI}), 'Container a exceeded its local ephemeral storage limit "5Mi". ',
                 id="container"),
    pytest.param(ONE, Usage({"v": 50 * MI}, {"a": MI}), None, id="no-total-while-one-has-no-limit"),
    pytest.param(BOTH, Usage({"v": 9 * MI}, {"a": MI, "b": MI}),
                 f"Pod ephemeral local storage usage exceeds the total limit of containers {10 * MI}. ", id="total"),
])
def test_verdict(pod: Any, usage: Usage, message: str | None) -> None:
    found = verdict(pod, usage)
    assert (found and found.message) == message
    assert found is None or found.reason == "Evicted"


def test_volumes_in_memory_and_without_limit_are_not_looked_at() -> None:
    assert is_limited(VOLUME)
    assert is_limited(ONE)
    assert not is_limited(make_pod("p", {}, volumes=[volume(sizeLimit="5Mi", medium="Memory")]))
    assert not is_limited(make_pod("p", {}, volumes=[volume()]))


def test_size_counts_what_lies_below(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * MI)
    (tmp_path / "link").symlink_to("/usr")
    assert MI <= size(tmp_path) < 2 * MI
    assert size(tmp_path / "none") == 0


async def test_pod_that_fills_its_volume_fails_as_evicted(tmp_path: Path) -> None:
    async with node_bench(tmp_path) as node:
        pod = await node.create(make_pod("web", volumes=[volume(sizeLimit="1Mi")]))
        folder = node.settings.root_dir / "pods" / pod.metadata.uid / "volumes/kubernetes.io~empty-dir/v"
        await node.advance(10)
        assert node.pod("web").status.phase == "Running"
        (folder / "file").write_bytes(b"x" * 2 * MI)
        await node.advance(10)
        await node.advance(30)
        status = node.pod("web").status
        assert status.phase == "Failed"
        assert (status.reason, status.message) == \
            ("Evicted", 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ')
        assert 'Warning Evicted Usage of EmptyDir volume "v" exceeds the limit "1Mi". ' in node.events
        assert node.runtime.named("c")[0].state.value == "exited"
