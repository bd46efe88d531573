"""Small container images made here, without a registry or a network: archives of files, pause, busybox, the demo's.

Getting an archive into a node is the business of `cluster.containerd`.
"""
