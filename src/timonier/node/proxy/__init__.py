"""The service proxy: what a packet for a Service becomes on this node.

Read it in the order in which data flows: `rules` (pure: Services and EndpointSlices → routes), `elements` (pure: routes
→ elements of nftables maps), `table` (the constant part of the ruleset), `nftables` (applies), `conntrack` (forgets UDP
flows to endpoints that are gone), `health` (healthCheckNodePort), `run` (the loop). Routes between nodes and the pods'
own network do not belong here; they are `node.net`.
"""
