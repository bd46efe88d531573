"""Admission policies: ValidatingAdmissionPolicy and MutatingAdmissionPolicy, bound and with parameters.

`constraints` says which requests a policy or a binding is about, `compiled` what a policy demands, `configured` which
there are, `situation` what its expressions see; `validating` and `mutating` are the plugins. The expressions themselves
are `timonier.api.cel.admission`'s. Source: KEP-3488, KEP-3962; Kubernetes documentation, "Validating Admission Policy".
"""
