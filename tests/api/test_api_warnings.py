"""What is right but better said otherwise, in the words in which Kubernetes warns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from support import schema_objects

from timonier.api.check import check
from timonier.api.defaults import default
from timonier.api.kinds import BY_ID
from timonier.api.patches import merge_patch
from timonier.api.warnings import TOLD, warnings

CONTAINER: dict[str, Any] = {"name": "a", "image": "nginx:1"}
SELECTED = {"selector": {"matchLabels": {"a": "b"}}}


def told(kind: str, obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    for each in (obj, old):
        if each is not None:
            each.setdefault("metadata", {}).setdefault("name", "x")
            default(BY_ID[kind], check(each, BY_ID[kind].definition).obj)
    return warnings(BY_ID[kind], obj, old)


def pod(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": [CONTAINER | (container or {})]} | spec}


@pytest.mark.parametrize(("spec", "text"), [
    ({"nodeSelector": {"beta.kubernetes.io/os": "linux"}},
     'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'),
    ({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "beta.kubernetes.io/arch", "operator": "Exists"}]}]}}}},
     "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
     '.matchExpressions[0].key: beta.kubernetes.io/arch is deprecated since v1.14; use "kubernetes.io/arch" instead'),
    ({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a"}]}}},
     "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: "
     "a null labelSelector results in matching no pod"),
    ({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}]},
     "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod"),
    ({"volumes": [{"name": "v", "gitRepo": {"repository": "x"}}]},
     "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+"),
    ({"volumes": [{"name": "v", "configMap": {"name": "c", "items": [{"key": "a", "path": "x"},
                                                                       {"key": "b", "path": "x/y"}]}}]},
     'volume "v" (ConfigMap "c"): overlapping paths: "x/y" with "x"'),
    ({"hostAliases": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.1"}]}, 'spec.hostAliases[1].ip: duplicate ip "10.0.0.1"'),
    ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, 'spec.imagePullSecrets[1].name: duplicate name "a"'),
    ({"imagePullSecrets": [{}]}, 'spec.imagePullSecrets[0].name: invalid empty name ""'),
    ({"terminationGracePeriodSeconds": -1},
     "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"),
])
def test_a_pod_is_warned_of(spec: dict[str, Any], text: str) -> None:
    assert told("v1/Pod", pod(**spec)) == [text]


@pytest.mark.parametrize(("container", "texts"), [
    ({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
     ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply']),
    ({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]}, []),
    ({"resources": {"limits": {"memory": "1500m"}, "requests": {"memory": "1"}}},
     ['spec.containers[0].resources.limits[memory]: fractional byte value "1500m" is invalid, must be an integer']),
    ({"ports": [{"containerPort": 80}, {"containerPort": 80}]},
     ["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"]),
    ({"ports": [{"containerPort": 80}, {"containerPort": 80, "hostPort": 81}]},
     ["spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]"]),
    ({"ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]}, []),
], ids=["hidden", "extended", "fraction", "same-port", "overlapping-port", "other-protocol"])
def test_a_container_is_warned_of(container: dict[str, Any], texts: list[str]) -> None:
    assert told("v1/Pod", pod(container)) == texts


def test_names_that_are_no_labels_make_odd_hostnames() -> None:
    assert told("v1/Pod", pod() | {"metadata": {"name": "a.b"}})[0].startswith(
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is "
        "recommended: [a lowercase RFC 1123 label")
    deployment = {"metadata": {"name": "a.b"}, "spec": SELECTED | {"template": pod()}}
    found = told("apps/v1/Deployment", deployment)[0]
    assert found.startswith("metadata.name: this is used in Pod names and hostnames, which can result in surprising")


def test_templates_are_warned_of_where_they_are() -> None:
    template = pod(nodeSelector={"beta.kubernetes.io/os": "linux"})
    text = 'nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'
    assert told("apps/v1/Deployment", {"spec": SELECTED | {"template": template}}) == [f"spec.template.spec.{text}"]
    assert told("batch/v1/CronJob", {"spec": {"schedule": "@daily", "jobTemplate": {"spec": {
        "template": template}}}}) == [f"spec.jobTemplate.spec.template.spec.{text}"]


def test_an_update_is_looked_at_only_where_what_is_wanted_changed() -> None:
    old = {"spec": SELECTED | {"template": pod(nodeSelector={"beta.kubernetes.io/os": "linux"})}}
    same, changed = merge_patch(old, {"metadata": {"labels": {"a": "b"}}}), merge_patch(old, {"spec": {"replicas": 5}})
    assert told("apps/v1/Deployment", same, old) == []
    assert len(told("apps/v1/Deployment", changed, old)) == 1
    assert told("v1/Pod", pod(terminationGracePeriodSeconds=-1), pod()) == []


@pytest.mark.parametrize(("kind", "obj", "texts"), [
    ("v1/Service", {"spec": {"clusterIP": "None", "externalIPs": ["10.0.0.1"], "sessionAffinity": "ClientIP"}},
     ["spec.externalIPs is ignored for headless services", "spec.SessionAffinity is ignored for headless services"]),
    ("v1/Service", {"spec": {"type": "ExternalName", "externalName": "a.b", "externalIPs": ["2001:DB8::1"]}},
     ['spec.externalIPs[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")',
      'spec.externalIPs is ignored when spec.type is "ExternalName"']),
    ("v1/Service", {"spec": {"externalName": "a.b", "trafficDistribution": "PreferClose"}},
     ['spec.externalName is ignored when spec.type is not "ExternalName"',
      'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"']),
    ("networking.k8s.io/v1/Ingress", {"metadata": {"annotations": {"kubernetes.io/ingress.class": "nginx"}}},
     ["annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"]),
    ("networking.k8s.io/v1/NetworkPolicy", {"spec": {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}]}},
     ['spec.ingress[0].from[0].ipBlock.cidr: CIDR value "10.0.0.1/8" is ambiguous in this context (should be '
      '"10.0.0.0/8" or "10.0.0.1/32"?)']),
    ("v1/PersistentVolume", {"spec": {"persistentVolumeReclaimPolicy": "Recycle", "cephfs": {"monitors": ["a"]}}},
     ["spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach "
      "is to use dynamic provisioning.", "spec.cephfs: deprecated in v1.28, non-functional in v1.31+"]),
    ("v1/PersistentVolumeClaim", {"spec": {"resources": {"requests": {"storage": "1500m"}}}},
     ['spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer']),
    ("v1/Secret", {"type": "kubernetes.io/tls", "data": {"tls.crt": "YQ==", "tls.key": "YQ=="}},
     ["tls: failed to find any PEM data in certificate input"]),
    ("storage.k8s.io/v1/StorageClass", {"allowedTopologies": [{"matchLabelExpressions": [
        {"key": "failure-domain.beta.kubernetes.io/zone", "values": ["a"]}]}]},
     ["allowedTopologies[0].matchLabelExpressions[0].key: failure-domain.beta.kubernetes.io/zone is deprecated since "
      'v1.17; use "topology.kubernetes.io/zone" instead']),
    ("v1/ConfigMap", {"data": {"a": "b"}}, []),
])
def test_others_are_warned_of(kind: str, obj: dict[str, Any], texts: list[str]) -> None:
    assert told(kind, obj) == texts


@pytest.mark.parametrize("kind", TOLD)
def test_whatever_decodes_can_be_warned_of(kind: str) -> None:
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(schema_objects.of(BY_ID[kind].definition))
    def never_raises(obj: dict[str, Any]) -> None:
        default(BY_ID[kind], check(obj, BY_ID[kind].definition).obj)
        assert all(warnings(BY_ID[kind], obj))
    never_raises()
