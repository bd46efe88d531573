"""The kubelet's own HTTPS API on port 10250: logs, exec, attach, port-forward, metrics, and what runs here.

Its clients are the API server and whoever may use a node's subresources. It asks the kubelet for functions (`host`),
so it can be tried with a runtime alone. What a container's log file looks like stands in `kubelet.logs`; the syncing
of pods does not belong here.
"""
