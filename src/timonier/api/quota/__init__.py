"""ResourceQuota: what an object uses, which quotas count it, and what a quota's words mean. Pure.

`amounts` calculates, `usage` measures objects by resource (`pods`, `services`, `storage`, `devices` say how), `scopes`
says which objects a quota is about, `charge` what a write does to a quota, `limited` what needs a quota to be used at
all. Admission charges by it before a write, the quota's controller counts anew by it. Source: Kubernetes documentation,
"Resource Quotas".
"""
