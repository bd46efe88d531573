"""The scheduler: chooses a node for each pod that has none, and says why where it finds none.

Words used here, as in Kubernetes's scheduling framework:

    request     what a pod asks for, read once from its spec (`request.Request`)
    snapshot    all nodes as columns, one row a node, kept up to date from the watch (`snapshot.Snapshot`)
    filter      says which nodes a pod cannot run on, and why; `filters/`, one file each
    score       says which of the rest suit it better; `scores/`, one file each
    decision    the node chosen, or each filter's reasons, as data (`decide.decide`, pure)
    assumed     a pod that we count on its node though the binding has not come back through the watch yet
    nominated   a pod for which lower-priority pods were evicted, and the node where its room is kept

`queue` orders what waits, pure but for its memory; `run` is the shell that talks to the API server.
"""
