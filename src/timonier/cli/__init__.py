"""Commands that need no cluster on this machine: they talk to an API server, or to nobody.

What makes and keeps clusters is in `timonier.cluster.verbs`.
"""
