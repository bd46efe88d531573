"""Certificates on request: who is approved without being asked, what is signed, and what is thrown away.

`requests` says, purely, what each of Kubernetes's own signers accepts; `approving`, `signing` and `cleaning` are the
controllers. The key of the authority is in this process alone.
"""
