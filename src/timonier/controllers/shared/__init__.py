"""What several controllers say about the same things: pods, ownership, endpoints, what the server serves, shares.

All of it is pure but for `discovered`. What concerns one controller alone stays with it.
"""
