"""The contract's data through CRI's messages, and news out of containerd's envelopes."""

from __future__ import annotations

from timonier.node.cri import containerd_events_pb2 as events_pb
from timonier.node.cri import contract as c
from timonier.node.cri import cri_pb2 as pb
from timonier.node.cri import messages
from timonier.node.cri.containerd import news


def test_root_is_told_apart_from_no_user() -> None:
    root = messages.security_context(c.Security(run_as_user=0))
    nobody = messages.security_context(c.Security())
    assert root.HasField("run_as_user")
    assert root.run_as_user.value == 0
    assert not nobody.HasField("run_as_user")


def test_container_config_carries_every_field_that_it_has() -> None:
    config = c.ContainerConfig(
        name="c", image="i", attempt=3, command=("a",), args=("b",), working_dir="/w", env=(("K", "v"),),
        mounts=(c.Mount("/in", "/out", True, c.Propagation.BIDIRECTIONAL),), labels={"l": "1"},
        annotations={"a": "2"}, log_path="c/3.log", stdin=True, stdin_once=True, tty=True,
        resources=c.LinuxResources(100_000, 50_000, 512, 1024, 7, {"2MB": 4}, {"memory.oom.group": "1"}),
        security=c.Security(c.Namespaces(c.Namespace.NODE, c.Namespace.TARGET, c.Namespace.POD, "t"), True,
                            ("NET_ADMIN",), ("ALL",), 1, "", 2, (3,), True, True, c.SeccompProfile("Localhost", "/p"),
                            c.SeccompProfile("Unconfined"), ("/m",), ("/r",)))
    made = messages.container_config(config)
    assert (made.metadata.name, made.metadata.attempt, made.image.image) == ("c", 3, "i")
    assert [(env.key, env.value) for env in made.envs] == [("K", "v")]
    [mount] = made.mounts
    assert (mount.container_path, mount.host_path, mount.readonly, mount.propagation) == \
        ("/in", "/out", True, pb.BIDIRECTIONAL)
    linux = made.linux
    assert linux.resources.memory_limit_in_bytes == 1024
    assert linux.resources.unified["memory.oom.group"] == "1"
    security = linux.security_context
    assert list(security.capabilities.add_capabilities) == ["NET_ADMIN"]
    assert (security.namespace_options.pid, security.namespace_options.target_id) == (pb.TARGET, "t")
    assert (security.run_as_user.value, security.run_as_group.value) == (1, 2)
    assert (security.seccomp.profile_type, security.seccomp.localhost_ref) == (pb.SecurityProfile.Localhost, "/p")
    assert made.stdin
    assert made.stdin_once
    assert made.tty


def test_moments_are_seconds_and_absent_ones_nothing() -> None:
    status = messages.container_status(pb.ContainerStatus(
        id="x", created_at=1_500_000_000, state=pb.CONTAINER_CREATED, metadata=pb.ContainerMetadata(name="c")))
    assert (status.created_at, status.started_at, status.finished_at) == (1.5, 0.0, 0.0)
    assert status.state is c.ContainerState.CREATED


def test_every_address_of_a_sandbox_is_read() -> None:
    status = messages.sandbox_status(pb.PodSandboxStatus(
        id="s", state=pb.SANDBOX_READY,
        network=pb.PodSandboxNetworkStatus(ip="10.0.0.1", additional_ips=[pb.PodIP(ip="fd00::1")])))
    assert status.ips == ("10.0.0.1", "fd00::1")


def envelope(topic: str, event: events_pb.TaskEvent | events_pb.TaskExit) -> events_pb.Envelope:
    made = events_pb.Envelope(topic=topic, namespace="k8s.io")
    made.event.value = event.SerializeToString()
    return made


def test_exit_of_a_container_is_news_and_that_of_an_exec_is_not() -> None:
    own = envelope("/tasks/exit", events_pb.TaskExit(container_id="a", id="a"))
    of_exec = envelope("/tasks/exit", events_pb.TaskExit(container_id="a", id="probe"))
    assert news(own) == c.RuntimeEvent(c.EventType.CONTAINER_EXITED, "a")
    assert news(of_exec) is None
    assert news(envelope("/tasks/oom", events_pb.TaskEvent(container_id="a"))) == \
        c.RuntimeEvent(c.EventType.CONTAINER_OOM, "a")
    assert news(envelope("/tasks/exec-added", events_pb.TaskEvent(container_id="a"))) is None
