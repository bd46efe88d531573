"""The verbs of resources, a file each: what the HTTP request says, the registry's call, the answer.

A verb is a coroutine `serve(server, request, kind) -> Answer | None`, None where it took the connection over.
"""
