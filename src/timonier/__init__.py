"""Timonier: a complete Kubernetes in Python."""
