"""Images of pods on the simulated runtime: when they are pulled, and what the user is told."""

from __future__ import annotations

import dataclasses

from support.kubelet_bench import NodeBench, make_pod, state


async def test_image_that_cannot_be_pulled_backs_off(node: NodeBench) -> None:
    node.runtime.refused_images["nope:1"] = "docker.io/library/nope:1: not found"
    pod = await node.create(make_pod("web", {"image": "nope:1"}))
    assert state(pod) == "waiting ErrImagePull"
    assert pod.status.phase == "Pending"
    assert 'Warning Failed Failed to pull image "nope:1": rpc error: code = NotFound desc = ' \
        "docker.io/library/nope:1: not found" in node.events
    assert "Warning Failed Error: ErrImagePull" in node.events
    await node.advance(3)
    pod = node.pod("web")
    assert state(pod) == "waiting ImagePullBackOff"
    assert 'Normal BackOff Back-off pulling image "nope:1"' in node.events
    node.runtime.refused_images.clear()
    await node.advance(10)
    assert state(node.pod("web")) == "running"


async def test_image_pull_policy_never_needs_the_image_to_be_there(node: NodeBench) -> None:
    pod = await node.create(make_pod("web", {"imagePullPolicy": "Never"}))
    assert state(pod) == "waiting ErrImageNeverPull"
    node.runtime.add_image("app:1")
    await node.advance(10)
    assert state(node.pod("web")) == "running"
    assert 'Normal Pulled Container image "app:1" already present on machine and can be accessed by the pod' \
        in node.events


async def test_image_that_was_loaded_by_hand_is_not_asked_of_a_registry(node: NodeBench) -> None:
    node.runtime.add_image("app")
    name, image = node.runtime.present.popitem()
    node.runtime.present[name] = dataclasses.replace(image, digests=("docker.io/library/same@sha256:" + "0" * 64,))
    node.runtime.refused_images["app:latest"] = "docker.io/library/app:latest: not found"
    pod = await node.create(make_pod("web", {"image": "app"}))
    assert state(pod) == "running"
    assert 'Normal Pulled Container image "app" was loaded on this node, so no registry is asked' in node.events


async def test_image_that_was_pulled_is_asked_for_again_by_policy_always(node: NodeBench) -> None:
    node.runtime.add_image("app")
    assert state(await node.create(make_pod("web", {"image": "app"}))) == "running"
    assert 'Normal Pulling Pulling image "app"' in node.events


async def test_bad_image_name_is_named_so(node: NodeBench) -> None:
    pod = await node.create(make_pod("web", {"image": "Bad//Image"}))
    assert state(pod) == "waiting InvalidImageName"
