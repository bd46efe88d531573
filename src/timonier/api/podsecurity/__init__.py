"""Pod Security Standards: which pods the levels `baseline` and `restricted` allow, in every version of the standards.

`policy` reads what a namespace's labels demand, `baseline` and `restricted` hold the controls, `evaluate` has the table
of them and judges pods by it. Pure. Source: Kubernetes documentation, "Pod Security Standards" and "Pod Security
Admission".
"""
