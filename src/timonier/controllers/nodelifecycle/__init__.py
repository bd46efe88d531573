"""Node lifecycle: a node that falls silent is marked, its pods are told apart, and after a while moved elsewhere.

`health` marks silent nodes, `taints` says it in taints, `eviction` deletes pods that do not tolerate them any longer.
Source: kubernetes/pkg/controller/nodelifecycle and tainteviction.
"""
