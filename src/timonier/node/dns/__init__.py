"""Cluster DNS, as every node serves it to its own pods: the Kubernetes DNS specification, version 1.1.

`records` (pure: Services → records), `zone` (what stands at a name), `wire` (messages as bytes, by hand), `answers`
(question → answer), `upstream` (names outside the cluster), `server` (UDP and TCP), `publish` (this node's
EndpointSlice for the Service kube-dns), `run`.
"""
