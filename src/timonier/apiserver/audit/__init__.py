"""Audit: who did what, when, and what came of it, as events for a file or a webhook.

`policy` says how much of a request is written down (pure); a `record` follows one request through its stages; `file`
and `webhook` are where events go, directly or in batches (`batch`). Without a policy none of this is imported.
Source: Kubernetes documentation, "Auditing"; API reference, audit.k8s.io/v1.
"""
