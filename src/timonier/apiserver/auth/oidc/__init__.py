"""OpenID Connect: tokens that other issuers sign, and what of them makes a user.

`configuration` is what the cluster's owner says about each issuer, checked; `keys` fetches the issuer's keys; `mapping`
makes a user of claims; `tokens` is the authenticator. None of it is imported where no issuer is configured.
Source: Kubernetes documentation, "Authenticating", AuthenticationConfiguration; KEP-3331.
"""
