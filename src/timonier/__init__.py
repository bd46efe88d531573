"""Timonier: a complete Kubernetes in Python. ARCHITECTURE.md is the map, and says in which order to read."""
