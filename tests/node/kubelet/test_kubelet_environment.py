"""Environment variables: where they come from, and who wins."""

from __future__ import annotations

from typing import Any

import pytest
from support.kubelet_bench import make_pod

from timonier.api.types import core_v1, meta_v1
from timonier.node.kubelet.environment import ConfigError, Facts, Objects, environment, sources
from timonier.node.kubelet.expansion import expand, unknown
from timonier.node.kubelet.fields import Addresses, UnsupportedField, field

OBJECTS = Objects({"conf": core_v1.ConfigMap(data={"A": "map", "B": "two"}), "gone": None},
                  {"hidden": core_v1.Secret(data={"P": b"secret"})})


def service(name: str, address: str, *ports: dict[str, Any], namespace: str = "default") -> core_v1.Service:
    return core_v1.Service(metadata=meta_v1.ObjectMeta(name=name, namespace=namespace), spec=core_v1.ServiceSpec(
        clusterIP=address, ports=[core_v1.ServicePort(**port) for port in ports]))


def variables(container: dict[str, Any], facts: Facts | None = None, **spec: Any) -> dict[str, str]:
    pod = make_pod("web", container, **spec)
    return environment(pod, pod.spec.containers[0], OBJECTS, facts or Facts())


@pytest.mark.parametrize(("text", "expected"), [
    ("$(A)", "1"), ("x$(A)y$(B)", "x1y2"), ("$$(A)", "$(A)"), ("$(NOPE)", "$(NOPE)"), ("$", "$"), ("$A", "$A"),
    ("$(A", "$(A"), ("$$$(A)", "$1"), ("100$$", "100$"),
])
def test_references_are_expanded(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}, {"B": "2", "A": "never"}) == expected


def test_unknown_references_are_named() -> None:
    assert unknown("$(A)/$(B)/$$(C)", {"A": "1"}) == ["B"]


def test_env_wins_over_env_from_and_may_refer_to_it() -> None:
    sources_ = [{"configMapRef": {"name": "conf"}}, {"prefix": "S_", "secretRef": {"name": "hidden"}}]
    made = variables({"envFrom": sources_,
                      "env": [{"name": "A", "value": "own"}, {"name": "C", "value": "$(A)-$(B)-$(S_P)"}]})
    assert made == {"A": "own", "B": "two", "S_P": "secret", "C": "own-two-secret"}


@pytest.mark.parametrize(("source", "message"), [
    ({"configMapKeyRef": {"name": "gone", "key": "k"}}, 'configmap "gone" not found'),
    ({"secretKeyRef": {"name": "gone", "key": "k"}}, 'secret "gone" not found'),
    ({"configMapKeyRef": {"name": "conf", "key": "k"}}, "couldn't find key k in ConfigMap default/conf"),
    ({"secretKeyRef": {"name": "hidden", "key": "k"}}, "couldn't find key k in Secret default/hidden"),
    ({"fieldRef": {"fieldPath": "spec.secrets"}}, "unsupported fieldPath: spec.secrets"),
])
def test_what_is_missing_is_named(source: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as failed:
        variables({"env": [{"name": "X", "valueFrom": source}]})
    assert str(failed.value) == message


def test_optional_sources_may_be_missing() -> None:
    made = variables({"envFrom": [{"configMapRef": {"name": "gone", "optional": True}}],
                      "env": [{"name": "X", "valueFrom": {"secretKeyRef": {
                          "name": "hidden", "key": "k", "optional": True}}}]})
    assert made == {}


def test_pod_and_node_are_described() -> None:
    facts = Facts(Addresses(("10.1.1.1", "fd00::1"), ("10.0.0.1",)), {"cpu": "4", "memory": "1Gi"})
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in (
        ("NAME", "metadata.name"), ("IP", "status.podIP"), ("IPS", "status.podIPs"), ("NODE", "spec.nodeName"),
        ("HOST", "status.hostIP"))]
    env += [{"name": name, "valueFrom": {"resourceFieldRef": ref}} for name, ref in (
        ("CPU", {"resource": "limits.cpu"}), ("MEM", {"resource": "requests.memory", "divisor": "1Mi"}))]
    made = variables({"env": env, "resources": {"requests": {"memory": "1500Ki"}}}, facts)
    assert made == {"NAME": "web", "IP": "10.1.1.1", "IPS": "10.1.1.1,fd00::1", "NODE": "n1", "HOST": "10.0.0.1",
                    "CPU": "4", "MEM": "2"}


def test_labels_and_annotations_are_read_by_key() -> None:
    pod = make_pod("web")
    pod.metadata.labels = {"app": "web", "a.b/c": 'x"y'}
    assert field(pod, "metadata.labels['a.b/c']") == 'x"y'
    assert field(pod, "metadata.labels") == 'a.b/c="x\\"y"\napp="web"'
    with pytest.raises(UnsupportedField):
        field(pod, "metadata.finalizers")


def test_services_are_linked_unless_the_pod_does_not_want_them() -> None:
    facts = Facts(services=(
        service("kubernetes", "10.96.0.1", {"port": 443, "name": "https"}),
        service("my-db", "10.96.0.5", {"port": 5432, "protocol": "TCP"}),
        service("headless", "None", {"port": 1}), service("other", "10.96.0.9", {"port": 1}, namespace="else")))
    made = variables({}, facts)
    assert made["MY_DB_SERVICE_HOST"] == "10.96.0.5"
    assert made["MY_DB_PORT_5432_TCP"] == "tcp://10.96.0.5:5432"
    assert made["MY_DB_PORT_5432_TCP_ADDR"] == "10.96.0.5"
    assert made["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
    assert not any(name.startswith(("HEADLESS", "OTHER")) for name in made)
    bare = variables({}, facts, enableServiceLinks=False)
    assert {name.split("_")[0] for name in bare} == {"KUBERNETES"}


def test_sources_of_an_environment_are_known_beforehand() -> None:
    container = make_pod("web", {
        "envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "b"}}],
        "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]}).spec.containers[0]
    assert sources(container) == ({"a", "c"}, {"b"})
