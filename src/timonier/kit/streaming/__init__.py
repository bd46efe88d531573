"""Protocols that carry several streams in one connection, without I/O: WebSocket and SPDY/3.1, and a relay of bytes.

`websocket` and `spdy` turn bytes into events and back, and know nothing of sockets; `relay` moves bytes between two
connections. What the streams mean (stdin, a port, a terminal's size) does not belong here.
"""
