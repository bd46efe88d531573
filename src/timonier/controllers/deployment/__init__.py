"""Deployments: one ReplicaSet for each revision of the template, and pods moved from the old ones to the new.

`controller` puts a plan together; `revisions` says which set is the new one and what it is called, `sizes` how large
each should be now, `status` what to tell about it. Source: kubernetes/pkg/controller/deployment.
"""
