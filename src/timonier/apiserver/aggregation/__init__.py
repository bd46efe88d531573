"""Aggregation: parts of the API that other servers answer, behind Services of the cluster.

An APIService says for each group and version who answers: this server itself (`local` keeps those), or a Service
(`backends` knows them, `availability` finds out whether they answer). Requests are passed on whole (`proxy`), with the
front proxy's certificate and the user in headers; discovery and OpenAPI are put together (`discovery`, `openapi`).
A backend that is dead or slow costs those who ask for it, and nobody else.
Source: Kubernetes documentation, "Kubernetes API Aggregation Layer".
"""
