"""The pods' network: how a pod gets its interface, and how packets for pods find their node.

`plan` (pure: nodes → routes, masquerade, CNI configuration) and `routes`, `run`, which put it in place. Services do not
belong here; they are `node.proxy`.
"""
