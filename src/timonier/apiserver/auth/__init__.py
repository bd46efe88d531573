"""Who asks, and what they may: authentication, authorisation, tokens, and the roles that every cluster begins with.

`authenticate` makes a user of a certificate or a token; `authorise` asks `decision`, `node` and `rbac`, in this order;
`default_roles` and `controller_roles` are tables of which `policy` makes objects, which `bootstrap` keeps in the store.
What is decided about the content of an object (NodeRestriction, escalation) is admission (`apiserver.admission`).
"""
