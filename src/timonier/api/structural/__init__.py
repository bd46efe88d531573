"""Structural schemas: what the OpenAPI v3 schema of a custom resource definition makes of objects.

A schema is a plain dict, a `JSONSchemaProps` as its author wrote it. Each module does one thing with it, and those that
work on objects compile it into closures once, since every write passes through them:

`structure`   whether a schema is structural at all
`prune`       fields that it does not name go, and are reported; so do nulls that it does not allow
`default`     what it says of absent fields is written out
`embedded`    metadata of the object and of the resources within it
`values`      whether values are as it wants them, in the words of kube-openapi; what was wrong before may stay wrong
`listtypes`   whether lists that are sets or maps have no two equal elements
`rules`       its CEL rules
`shape`       all of these together, as the shape of a kind

Everything here is pure. Whether a definition as a whole is valid is judged in `api.validation.definitions`.
Source: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions"; KEP-2876, KEP-4008.
"""
