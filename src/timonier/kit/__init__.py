"""What any long-lived program needs: time, HTTP and streams, logging, settings, processes, netlink and nftables.

Knows nothing of Kubernetes but the form of kubeconfig files: what could not stand in a program about something else
belongs into another package.
"""
