"""Volumes: what they hold (`contents`), how they get on disk (`atomic`, `mounts`, `subpath`), and when (`manager`).

Volumes that outlive their pod (claims, CSI) are not made here yet; a pod that asks for one is told so.
"""
