"""Defaults, kind by kind, as Kubernetes v1.37 writes them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from support import schema_objects

from timonier.api.check import check
from timonier.api.defaults import FUNCTIONS, default
from timonier.api.defaults.constants import CONSTANTS
from timonier.api.defaults.pods import pull_policy
from timonier.api.kinds import BY_ID, KINDS
from timonier.api.schema import definition, definitions


def defaulted(kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    default(BY_ID[kind], obj)
    return obj


CONTAINER = {"name": "a", "image": "nginx:1", "imagePullPolicy": "IfNotPresent",
             "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
POD_SPEC = {"containers": [CONTAINER], "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "securityContext": {},
            "terminationGracePeriodSeconds": 30, "schedulerName": "default-scheduler"}


def test_a_pod_gets_what_its_manifest_leaves_unsaid():
    pod = defaulted("v1/Pod", {"spec": {"containers": [{"name": "a", "image": "nginx:1"}]}})
    assert pod == {"spec": POD_SPEC | {"enableServiceLinks": True}}


def test_a_template_is_defaulted_as_a_pod_but_for_what_only_pods_get():
    spec = {"template": {"spec": {"containers": [
        {"name": "a", "image": "nginx:1", "resources": {"limits": {"cpu": "1"}}}]}}}
    template = defaulted("apps/v1/Deployment", {"spec": spec})["spec"]["template"]["spec"]
    assert template == POD_SPEC | {"containers": [CONTAINER | {"resources": {"limits": {"cpu": "1"}}}]}


def test_a_deployment_rolls_by_quarters():
    spec = defaulted("apps/v1/Deployment", {"spec": {"replicas": 0}})["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (0, 10, 600)
    recreate = defaulted("apps/v1/Deployment", {"spec": {"strategy": {"type": "Recreate"}}})
    assert recreate["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(("image", "policy"), [
    ("nginx", "Always"), ("nginx:latest", "Always"), ("nginx:1.27", "IfNotPresent"), ("reg:5000/nginx", "Always"),
    ("reg:5000/a/nginx:1", "IfNotPresent"), ("nginx@sha256:abc", "IfNotPresent"), ("", "IfNotPresent"),
])
def test_the_pull_policy_follows_the_tag(image, policy):
    assert pull_policy(image) == policy


def test_requests_are_limits_where_they_are_not_said():
    pod = defaulted("v1/Pod", {"spec": {"containers": [
        {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}}}]}})
    assert pod["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "100m", "memory": "1Gi"}


def test_requests_of_a_pod_as_a_whole_are_those_of_its_containers_or_its_limits():
    pod = defaulted("v1/Pod", {"spec": {
        "resources": {"limits": {"cpu": "4", "memory": "1Gi"}},
        "containers": [{"resources": {"requests": {"cpu": "1"}}}, {"resources": {"requests": {"cpu": "500m"}}}],
        "initContainers": [{"restartPolicy": "Always", "resources": {"requests": {"cpu": "250m"}}},
                           {"resources": {"requests": {"cpu": "1"}}}]}})
    assert pod["spec"]["resources"]["requests"] == {"cpu": "1750m", "memory": "1Gi"}


def test_amounts_finer_than_a_thousandth_are_rounded_up():
    pod = defaulted("v1/Pod", {"spec": {"containers": [{"resources": {"limits": {"cpu": "1500u"}}}]}})
    assert pod["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "2m"}, "requests": {"cpu": "2m"}}


def test_on_the_host_network_ports_are_the_hosts():
    pod = defaulted("v1/Pod", {"spec": {"hostNetwork": True, "containers": [{"ports": [{"containerPort": 80}]}]}})
    assert pod["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]


def test_probes_volumes_and_references_are_defaulted_where_they_occur():
    pod = defaulted("v1/Pod", {"spec": {
        "volumes": [{"name": "a"}, {"name": "b", "secret": {"secretName": "s"}},
                    {"name": "c", "hostPath": {"path": "/"}},
                    {"name": "d", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}],
        "containers": [{"image": "a:1", "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 0},
                        "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]}]}})
    first, second, third, fourth = pod["spec"]["volumes"]
    assert first == {"name": "a", "emptyDir": {}}
    assert second["secret"] == {"secretName": "s", "defaultMode": 420}
    assert third["hostPath"] == {"path": "/", "type": ""}
    assert fourth["projected"] == {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                                   "defaultMode": 420}
    container = pod["spec"]["containers"][0]
    assert container["livenessProbe"] == {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1,
                                          "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    assert container["env"][0]["valueFrom"]["fieldRef"] == {"fieldPath": "status.podIP", "apiVersion": "v1"}


@pytest.mark.parametrize(("spec", "expected"), [
    pytest.param({"ports": [{"port": 80}]}, {
        "ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}], "type": "ClusterIP", "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster"}, id="cluster-ip"),
    pytest.param({"type": "NodePort", "sessionAffinity": "ClientIP"}, {
        "type": "NodePort", "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
        "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster"}, id="node-port"),
    pytest.param({"type": "LoadBalancer"}, {
        "type": "LoadBalancer", "sessionAffinity": "None", "externalTrafficPolicy": "Cluster",
        "internalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": True}, id="load-balancer"),
    pytest.param({"type": "ExternalName", "externalName": "x"}, {
        "type": "ExternalName", "externalName": "x", "sessionAffinity": "None"}, id="external-name"),
])
def test_services_are_defaulted_by_their_type(spec, expected):
    assert defaulted("v1/Service", {"spec": spec})["spec"] == expected


def test_string_data_becomes_data():
    secret = defaulted("v1/Secret", {"stringData": {"a": "b"}, "data": {"a": "eA==", "c": "eA=="}})
    assert secret == {"type": "Opaque", "data": {"a": "Yg==", "c": "eA=="}}


def test_every_namespace_carries_its_name_as_a_label():
    namespace = defaulted("v1/Namespace", {"metadata": {"name": "x", "labels": {"a": "b"}}})
    assert namespace["metadata"]["labels"] == {"a": "b", "kubernetes.io/metadata.name": "x"}
    assert namespace["status"] == {"phase": "Active"}


@pytest.mark.parametrize(("kind", "obj", "path", "value"), [
    ("v1/Node", {"status": {"capacity": {"cpu": "1"}}}, "status.allocatable", {"cpu": "1"}),
    ("apps/v1/ReplicaSet", {}, "spec.replicas", 1),
    ("apps/v1/DaemonSet", {}, "spec.updateStrategy",
     {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}),
    ("apps/v1/StatefulSet", {}, "spec.persistentVolumeClaimRetentionPolicy",
     {"whenDeleted": "Retain", "whenScaled": "Retain"}),
    ("batch/v1/Job", {"spec": {"parallelism": 3}}, "spec.parallelism", 3),
    ("batch/v1/Job", {"spec": {"podFailurePolicy": {}}}, "spec.podReplacementPolicy", "Failed"),
    ("batch/v1/CronJob", {}, "spec.concurrencyPolicy", "Allow"),
    ("batch/v1/CronJob", {}, "spec.jobTemplate.spec.template.spec.dnsPolicy", "ClusterFirst"),
    ("v1/ReplicationController", {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}, "spec.selector",
     {"a": "b"}),
    ("v1/Endpoints", {"subsets": [{"ports": [{"port": 1}]}]}, "subsets", [{"ports": [{"port": 1, "protocol": "TCP"}]}]),
    ("discovery.k8s.io/v1/EndpointSlice", {"ports": [{}]}, "ports", [{"name": "", "protocol": "TCP"}]),
    ("networking.k8s.io/v1/NetworkPolicy", {"spec": {"egress": [{}]}}, "spec.policyTypes", ["Ingress", "Egress"]),
    ("rbac.authorization.k8s.io/v1/RoleBinding", {"roleRef": {"kind": "Role"}}, "roleRef.apiGroup",
     "rbac.authorization.k8s.io"),
    ("rbac.authorization.k8s.io/v1/RoleBinding", {"subjects": [{"kind": "User"}, {"kind": "ServiceAccount"}]},
     "subjects", [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io"}, {"kind": "ServiceAccount"}]),
    ("v1/PersistentVolumeClaim", {}, "status.phase", "Pending"),
    ("storage.k8s.io/v1/StorageClass", {}, "volumeBindingMode", "Immediate"),
    ("scheduling.k8s.io/v1/PriorityClass", {}, "preemptionPolicy", "PreemptLowerPriority"),
    ("v1/LimitRange", {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1"}}]}},
     "spec.limits", [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1"}, "default": {"cpu": "2"},
       "defaultRequest": {"cpu": "2"}}]),
    ("autoscaling/v2/HorizontalPodAutoscaler", {"spec": {"behavior": {"scaleDown": {"selectPolicy": "Min"}}}},
     "spec.behavior.scaleDown.selectPolicy", "Min"),
    ("apiextensions.k8s.io/v1/CustomResourceDefinition", {"spec": {"names": {"kind": "Tab"}}}, "spec.names",
     {"kind": "Tab", "singular": "tab", "listKind": "TabList"}),
])
def test_other_kinds(kind, obj, path, value):
    found: Any = defaulted(kind, obj)
    for part in path.split("."):
        found = found[part]
    assert found == value


def test_every_default_is_of_a_field_that_exists():
    assert set(CONSTANTS) | set(FUNCTIONS) <= set(definitions())
    assert [(name, field) for name, fields in CONSTANTS.items() for field in fields
            if field not in definition(name)["properties"]] == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_defaulting_twice_changes_nothing_more_and_stays_within_the_schema(kind):
    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(schema_objects.of(kind.definition))
    def stable(obj):
        default(kind, check(obj, kind.definition).obj)
        once = copy.deepcopy(obj)
        default(kind, obj)
        assert obj == once
        checked = check(obj, kind.definition)
        assert checked.unknown == []
        assert checked.obj == once
    stable()
