"""Admission: what is changed in a request, and refused, between authorisation and the store.

One plugin a file, all of them the built-in ones of Kubernetes. `order` has the table of them, in the order in which
requests pass them; `plugins` is the chain that they make.
"""
