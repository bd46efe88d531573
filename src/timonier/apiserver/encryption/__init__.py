"""Encryption at rest: a store that nobody reads from the disk.

`config` reads an EncryptionConfiguration; `ciphers` and `kms` are its providers; `scheme` says which of them a key's
value is for; `store` is a Store around another; `migrate` has everything of a resource written again.
Values are as kube-apiserver writes them: the provider, its version and its key's name first (`k8s:enc:aesgcm:v1:a:`),
and the storage key is authenticated, so that one Secret's value cannot be put in the place of another's.
Source: Kubernetes documentation, "Encrypting Confidential Data at Rest".
"""
