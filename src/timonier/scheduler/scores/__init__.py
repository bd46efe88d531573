"""Scores: which of the possible nodes suit a pod better, one file each; the weights are Kubernetes's defaults.

A score rates all candidates at once, from 0 to 100, and never excludes one: that is what filters do.
"""

from timonier.scheduler.scores import (
    balanced_allocation,
    image_locality,
    inter_pod_affinity,
    least_allocated,
    node_affinity,
    pod_topology_spread,
    taint_toleration,
)
from timonier.scheduler.verdict import Score

SCORES: tuple[Score, ...] = (
    Score("TaintToleration", taint_toleration.rate, 3),
    Score("NodeAffinity", node_affinity.rate, 2),
    Score("NodeResourcesFit", least_allocated.rate, 1),
    Score("NodeResourcesBalancedAllocation", balanced_allocation.rate, 1),
    Score("PodTopologySpread", pod_topology_spread.rate, 2),
    Score("InterPodAffinity", inter_pod_affinity.rate, 2),
    Score("ImageLocality", image_locality.rate, 1),
)
