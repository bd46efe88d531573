"""Warnings about all else: services, volumes, schedules, and what names nodes by their labels."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from timonier.api.warnings.labels import DEPRECATED, fractions, in_selector, in_terms
from timonier.api.warnings.pods import template, used_in_names

Obj = dict[str, Any]

CLASS = "volume.beta.kubernetes.io/storage-class"
MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
INGRESS_CLASS = "kubernetes.io/ingress.class"
TOPOLOGY_HINTS, TOPOLOGY_MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
MANY, MANY_AT_ONCE = 100_000, 10_000
SOURCES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}


def annotations_of(obj: Obj) -> Obj:
    found: Obj = obj.get("metadata", {}).get("annotations", {})
    return found


def service(obj: Obj) -> Iterator[str]:
    spec = obj.get("spec", {})
    if TOPOLOGY_HINTS in annotations_of(obj):
        yield f"annotation {TOPOLOGY_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead"
    if spec.get("clusterIP") not in (None, "", "None"):
        for index, address in enumerate(spec.get("clusterIPs", ())):
            yield from odd_address(address, f"spec.clusterIPs[{index}]")
    if spec.get("type", "ClusterIP") == "ClusterIP" and spec.get("clusterIP") == "None":
        for field, ignored in (("loadBalancerIP", spec.get("loadBalancerIP")), ("externalIPs", spec.get("externalIPs")),
                               ("SessionAffinity", spec.get("sessionAffinity", "None") != "None")):
            if ignored:
                yield f"spec.{field} is ignored for headless services"
    for index, address in enumerate(spec.get("externalIPs", ())):
        yield from odd_address(address, f"spec.externalIPs[{index}]")
    if spec.get("loadBalancerIP"):
        yield from odd_address(spec["loadBalancerIP"], "spec.loadBalancerIP")
    for index, network in enumerate(spec.get("loadBalancerSourceRanges", ())):
        yield from odd_network(network, f"spec.loadBalancerSourceRanges[{index}]")
    if spec.get("type") == "ExternalName" and spec.get("externalIPs"):
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if spec.get("type") != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def odd_address(value: str, path: str) -> Iterator[str]:
    """An address that others write otherwise."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return
    if str(address) != value:
        yield f'{path}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{address}")'


def odd_network(value: str, path: str) -> Iterator[str]:
    """A range that says more than a range: an address within it."""
    try:
        interface = ipaddress.ip_interface(value)
    except ValueError:
        return
    if interface.ip != interface.network.network_address:
        yield (f'{path}: CIDR value "{value}" is ambiguous in this context (should be "{interface.network}" or '
               f'"{interface.ip}/{interface.max_prefixlen}"?)')
    elif str(interface.network) != value:
        yield f'{path}: IPv6 CIDR value "{value}" should be in RFC 5952 canonical format ("{interface.network}")'


def ingress(obj: Obj) -> Iterator[str]:
    if INGRESS_CLASS in annotations_of(obj):
        yield f"annotation \"{INGRESS_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"


def network_policy(obj: Obj) -> Iterator[str]:
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(obj.get("spec", {}).get(direction, ())):
            for place, peer in enumerate(rule.get(peers, ())):
                block, path = peer.get("ipBlock", {}), f"spec.{direction}[{index}].{peers}[{place}].ipBlock"
                yield from odd_network(block.get("cidr", ""), f"{path}.cidr")
                for position, part in enumerate(block.get("except", ())):
                    yield from odd_network(part, f"{path}.except[{position}]")


def volume(obj: Obj) -> Iterator[str]:
    spec, annotations = obj.get("spec", {}), annotations_of(obj)
    if CLASS in annotations:
        yield f'metadata.annotations[{CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead'
    if MOUNT_OPTIONS in annotations:
        yield f'metadata.annotations[{MOUNT_OPTIONS}]: deprecated since v1.31; use "mountOptions" attribute instead'
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        yield ("spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended "
               "approach is to use dynamic provisioning.")
    terms = spec.get("nodeAffinity", {}).get("required", {}).get("nodeSelectorTerms", [])
    yield from in_terms(terms, "spec.nodeAffinity.required.nodeSelectorTerms")
    for kind in spec:
        if kind in SOURCES:
            yield f"spec.{kind}: {SOURCES[kind]}"


def claim(obj: Obj) -> Iterator[str]:
    if CLASS in annotations_of(obj):
        yield f'metadata.annotations[{CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead'
    yield from fractions(obj.get("spec", {}).get("resources", {}).get("requests", {}), "spec.resources.requests",
                         ("storage",))


def stateful_set(obj: Obj) -> Iterator[str]:
    spec = obj.get("spec", {})
    yield from template(spec.get("template", {}), "spec.template.")
    for index, given in enumerate(spec.get("volumeClaimTemplates", ())):
        yield from fractions(given.get("spec", {}).get("resources", {}).get("requests", {}),
                             f"spec.volumeClaimTemplates[{index}].spec.resources.requests", ("storage",))


def job(obj: Obj) -> Iterator[str]:
    yield from used_in_names(obj)
    yield from job_spec(obj.get("spec", {}), "spec")


def job_spec(spec: Obj, path: str) -> Iterator[str]:
    if spec.get("completionMode") == "Indexed" and (spec.get("completions") or 0) > MANY \
            and (spec.get("parallelism") or 0) > MANY_AT_ONCE:
        yield ("In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
               "Kubernetes might not be able to track completedIndexes when a big number of indexes fail")
    yield from template(spec.get("template", {}), f"{path}.template.")


def cron_job(obj: Obj) -> Iterator[str]:
    yield from used_in_names(obj)
    spec = obj.get("spec", {})
    yield from job_spec(spec.get("jobTemplate", {}).get("spec", {}), "spec.jobTemplate.spec")
    if re.match("(TZ|CRON_TZ)=", spec.get("schedule", "")):
        yield "spec.schedule: cannot use TZ or CRON_TZ in schedule, use timeZone field instead"


def node(obj: Obj) -> Iterator[str]:
    spec = obj.get("spec", {})
    if "configSource" in spec:
        yield "spec.configSource: the spec.configSource field is deprecated in v1.22 and no longer supported in v1.24+"
    if spec.get("externalID"):
        yield "spec.externalID: this field is deprecated, and is unused by Kubernetes"


def runtime_class(obj: Obj) -> Iterator[str]:
    return in_selector(obj.get("scheduling", {}).get("nodeSelector", {}), "scheduling.nodeSelector")


def storage_capacity(obj: Obj) -> Iterator[str]:
    selector = obj.get("nodeTopology", {})
    for key in selector.get("matchLabels", ()):
        if key in DEPRECATED:
            yield f"nodeTopology.matchLabels.{key}: {DEPRECATED[key]}"
    for index, rule in enumerate(selector.get("matchExpressions", ())):
        if rule.get("key") in DEPRECATED:
            yield f"nodeTopology.matchExpressions[{index}].key: {rule['key']}: {DEPRECATED[rule['key']]}"


def storage_class(obj: Obj) -> Iterator[str]:
    for index, term in enumerate(obj.get("allowedTopologies", ())):
        for place, rule in enumerate(term.get("matchLabelExpressions", ())):
            if (key := rule.get("key", "")) in DEPRECATED:
                yield f"allowedTopologies[{index}].matchLabelExpressions[{place}].key: {key} is {DEPRECATED[key]}"


def secret(obj: Obj) -> Iterator[str]:
    """A certificate and a key that are none: the words are Go's for the commonest of faults."""
    if obj.get("type") != "kubernetes.io/tls":
        return
    for key, what in (("tls.crt", "certificate"), ("tls.key", "key")):
        if b"-----BEGIN" not in base64.b64decode(obj.get("data", {}).get(key, "")):
            yield f"tls: failed to find any PEM data in {what} input"
            return
