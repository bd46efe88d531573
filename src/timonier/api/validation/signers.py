"""Names of signers, `example.com/a-path`, and of the bundles of certificates that they publish."""

from __future__ import annotations

from timonier.api import names
from timonier.api.validation.causes import Causes

LONGEST_DOMAIN = 253
LONGEST = LONGEST_DOMAIN + 1 + 253 + 63 + 1
FORM = "must be a fully qualified domain and path of the form 'example.com/signer-name'"


def signer_name(value: str, path: str, causes: Causes) -> None:
    """A domain of two labels or more, and a path of subdomains."""
    if not value:
        causes.required(path)
    parts = value.split("/")
    if len(parts) != 2:
        causes.invalid(path, value, FORM)
        return
    domain, below = parts
    if len(domain) > LONGEST_DOMAIN:
        causes.too_long(path, LONGEST_DOMAIN)
    labels = domain.split(".")
    first_wrong(domain, labels, names.plain_label, path, causes)
    if len(labels) < 2:
        causes.invalid(path, domain, "should be a domain with at least two segments separated by dots")
    first_wrong(below, below.split("."), names.dns_subdomain, path, causes)
    if len(value) > LONGEST:
        causes.too_long(path, LONGEST)


def first_wrong(whole: str, labels: list[str], check: names.Check, path: str, causes: Causes) -> None:
    """The first label that is wrong: the others would say the same."""
    for label in labels:
        if wrong := check(label):
            for text in wrong:
                causes.invalid(path, whole, f'validating label "{label}": {text}')
            return


def bundle_name(value: str, signer: str) -> names.Wrong:
    """The name of a ClusterTrustBundle: behind its signer's, with colons for slashes, where it has one."""
    if not signer:
        return ('ClusterTrustBundle without signer name must not have ":" in its name',) if ":" in value \
            else names.dns_subdomain(value)
    prefix = signer.replace("/", ":") + ":"
    if not value.startswith(prefix):
        return (f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}",)
    return names.dns_subdomain(value.removeprefix(prefix))
