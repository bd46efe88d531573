"""Where nodes live. `netns` gives each a network namespace of its own on this machine.

A driver makes a node's place and removes it. What runs in it is the business of `components` and the supervisor.
"""
