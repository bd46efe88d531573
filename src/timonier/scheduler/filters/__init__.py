"""Filters: which nodes a pod cannot run on, one file each, named as in Kubernetes. They are asked in this order.

A filter reads columns of the snapshot and yields `verdict.Rejection`s, whole arrays at a time. What a pod asks for was
read from its spec before (`scheduler.request`); no filter parses.
"""

from timonier.scheduler.filters import (
    dynamic_resources,
    inter_pod_affinity,
    node_affinity,
    node_name,
    node_ports,
    node_resources_fit,
    node_unschedulable,
    pod_topology_spread,
    taint_toleration,
)
from timonier.scheduler.verdict import Filter

FILTERS: tuple[Filter, ...] = (
    Filter("NodeUnschedulable", node_unschedulable.reject),
    Filter("NodeName", node_name.reject),
    Filter("TaintToleration", taint_toleration.reject),
    Filter("NodeAffinity", node_affinity.reject),
    Filter("NodePorts", node_ports.reject),
    Filter("NodeResourcesFit", node_resources_fit.reject),
    Filter("DynamicResources", dynamic_resources.reject),
    Filter("PodTopologySpread", pod_topology_spread.reject),
    Filter("InterPodAffinity", inter_pod_affinity.reject),
)
"""Of each node, the first filter that rejects it gives the reasons."""
