"""A fuzzer of the API: random requests made from the server's own OpenAPI, sound and spoilt, against a real server.

`PYTHONPATH=tests python -m fuzz --requests 100000` starts a server in a network namespace of its own, since random
objects name random addresses, and says after each batch how it fares. It fails where the server answers 5xx, logs an
unexpected error, grows without end, or no longer answers as quickly as before.
"""
