"""Paths below an object, a module each: scale, binding, eviction, and those by which one talks to a running container.

A subresource is a coroutine `serve(server, request) -> Answer | None`, None where it took the connection over. `status`
is the object itself through another door, and served by the verbs.
"""
