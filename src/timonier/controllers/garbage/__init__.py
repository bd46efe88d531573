"""Garbage collection: what nobody owns any more is deleted; who is deleted takes along, awaits or orphans the owned.

`graph` knows who owns whom, from the metadata of every object of every kind; `controller` keeps it and plans from it.
Source: Kubernetes docs, "Garbage Collection"; kubernetes/pkg/controller/garbagecollector.
"""
