"""The kubelet: makes the containers on this node be what the pods bound to it say, and reports what is.

`plan` decides from a pod and what was observed of it, purely; `worker` carries a plan out, one task a pod; `run` puts
the parts together. Services, DNS and routes are not its business, nor is the shape of the runtime's messages.
"""
