"""Who asks, and what they may: authentication, authorisation, tokens, and the roles that every cluster begins with.

`authenticate` asks for credentials in turn: `front_proxy`, `certificates`, then `bearers`, behind whom stand
`accounts`, `legacy`, `static_tokens`, `bootstrap_tokens`, `oidc` and `token_webhook`; each says an `identity`.
`authorise` asks for a `decision` of `node` (over `graph`), `rbac` and `webhook`, in the order that `settings` or
`configured` name. `impersonate` lets one act as another; `reviews` answers questions about all this.
`default_roles` and `controller_roles` are tables of which `policy` makes objects, which `bootstrap` keeps in the store.
What is decided about the content of an object (NodeRestriction, escalation) is admission (`apiserver.admission`).
"""
