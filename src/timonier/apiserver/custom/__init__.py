"""Custom resources: kinds that CustomResourceDefinitions add to the API.

`definitions` follows the definitions and keeps `Resources` and their status right, by what `rows` makes of one
(kinds) and what `conditions` says of it (names, conditions). `cleanup` removes the objects of a definition that goes.
`conversion` takes objects from one version of their kind to another. What objects have to be like is pure, and stands
in `api.structural`; how they are read and written is the registry's, by `apiserver.views`.

Source: Kubernetes documentation, "Custom Resources"; "Versions in CustomResourceDefinitions".
"""
