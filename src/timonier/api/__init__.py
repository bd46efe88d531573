"""The language of Kubernetes: kinds, types, schema, defaults, validation, selectors, quantities, patches.

Pure: nothing here does I/O beyond reading the package's own schema, and nothing knows of servers or clients.
"""
