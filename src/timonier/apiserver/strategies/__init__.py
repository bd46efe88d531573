"""What is particular about writing each kind: how status begins, what is derived, what must be claimed with it.

Defaults and validation, which are pure functions of the object, belong to `timonier.api`.
"""
