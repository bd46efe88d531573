"""Containers' log files: their lines, how they are read and followed, and how they are rotated.

The runtime writes them; whoever asks for them over HTTP is the business of `kubelet.server`.
"""
