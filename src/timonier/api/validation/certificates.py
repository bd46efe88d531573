"""Certificates that are asked for and trusted: signing requests, requests of pods, bundles of authorities."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from timonier.api import names
from timonier.api.validation.causes import IMMUTABLE, Causes, Obj
from timonier.api.validation.declared import (
    UpdateRule,
    between,
    declare,
    field,
    fixed,
    form,
    judged,
    longest,
    required,
)
from timonier.api.validation.metadata import annotation_pairs
from timonier.api.validation.signers import bundle_name, signer_name

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

USAGES = ("any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
          "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system",
          "ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc",
          "ocsp signing", "s/mime", "server auth", "signing", "timestamping")
LEGACY = "kubernetes.io/legacy-unknown"
SHORTEST, LARGEST_BUNDLE, LARGEST_STUB = 600, 1024 * 1024, 10 * 1024
SHORTEST_OF_POD, LONGEST_OF_POD = 3600, 91 * 24 * 3600
OMITTED = "<value omitted>"
BLOCK = re.compile(r"-----BEGIN ([^-\r\n]+)-----\r?\n(.*?)-----END \1-----", re.DOTALL)
STATUSES = ("False", "True", "Unknown")
MOST_ANNOTATIONS = 10


def signing_request(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    if wrong := wrong_request(spec.get("request", "")):
        causes.invalid("spec.request", spec.get("request"), wrong)
    usages = spec.get("usages", ())
    if not usages:
        causes.required("spec.usages")
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            causes.unsupported(f"spec.usages[{index}]", usage, USAGES)
        if usage in usages[:index]:
            causes.duplicate(f"spec.usages[{index}]", usage)
    signer = spec.get("signerName", "")
    if signer == LEGACY:
        causes.invalid("spec.signerName", signer, "the legacy signerName is not allowed via this API version")
    else:
        signer_name(signer, "spec.signerName", causes)
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < SHORTEST:
        causes.invalid("spec.expirationSeconds", seconds,
                       "may not specify a duration less than 600 seconds (10 minutes)")


def wrong_request(encoded: str) -> str:
    """What is wrong with the PEM of a request, in base64."""
    text = base64.b64decode(encoded).decode(errors="replace")
    found = BLOCK.search(text)
    if found is None or found[1] != "CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    from cryptography import x509
    try:
        x509.load_pem_x509_csr(found[0].encode())
    except ValueError as error:
        return f"asn1: structure error: {error}"
    return ""


def signing_status(obj: Obj, old: Obj, causes: Causes) -> None:
    """Through /status and /approval: what was decided of a request stays decided."""
    conditions, before = (each.get("status", {}).get("conditions", []) for each in (obj, old))
    taken: set[str] = set()
    for index, condition in enumerate(conditions):
        path, kind, status = f"status.conditions[{index}]", condition.get("type", ""), condition.get("status", "")
        if not kind:
            causes.required(f"{path}.type")
        if not status:
            causes.required(f"{path}.status")
        elif kind in ("Approved", "Denied", "Failed") and status != "True":
            causes.unsupported(f"{path}.status", status, ("True",))
        elif status not in STATUSES:
            causes.unsupported(f"{path}.status", status, STATUSES)
        if kind in taken:
            causes.duplicate(f"{path}.type", kind)
        taken.add(kind)
    if {"Approved", "Denied"} <= taken:
        index = next(place for place, each in enumerate(conditions) if each.get("type") == "Denied")
        causes.invalid(f"status.conditions[{index}].type", "Denied",
                       "Approved and Denied conditions are mutually exclusive")
    for kind in ("Approved", "Denied", "Failed"):
        was = [each for each in before if each.get("type") == kind]
        if was and kind not in taken:
            causes.forbidden("status.conditions", f"updates may not remove a condition of type \"{kind}\"")
    certificate, issued = (each.get("status", {}).get("certificate") for each in (obj, old))
    if issued and certificate != issued:
        causes.forbidden("status.certificate", "updates may not change status.certificate once it is set")
    elif certificate and certificate != issued:
        for text in wrong_chain(certificate):
            causes.invalid("status.certificate", certificate, text)


def wrong_chain(encoded: str) -> list[str]:
    """What is wrong with an issued certificate and those of its issuers: PEM blocks without headers."""
    blocks = BLOCK.findall(base64.b64decode(encoded).decode(errors="replace"))
    if not blocks:
        return ["must contain at least one CERTIFICATE PEM block"]
    return [f"only CERTIFICATE PEM blocks are allowed, found \"{kind}\"" for kind, _ in blocks if kind != "CERTIFICATE"]


def trust_bundle(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    signer, text = spec.get("signerName", ""), spec.get("trustBundle", "")
    name = obj.get("metadata", {}).get("name", "")
    if signer:
        signer_name(signer, "spec.signerName", causes)
    causes.each_invalid("metadata.name", name, bundle_name(name, signer))
    if len(text) > LARGEST_BUNDLE:
        causes.too_long("spec.trustBundle", LARGEST_BUNDLE)
    for wrong in wrong_bundle(text):
        causes.invalid("spec.trustBundle", OMITTED, wrong)


def wrong_bundle(text: str) -> list[str]:
    """What is wrong with a bundle: each block is a certificate of an authority, and none is there twice."""
    blocks = list(BLOCK.finditer(text))
    if not blocks:
        return ["at least one trust anchor must be provided"]
    wrong, seen = list[str](), dict[bytes, int]()
    for index, block in enumerate(blocks):
        if block[1] != "CERTIFICATE":
            wrong.append(f"entry {index} has bad block type: {block[1]}")
        elif ":" in block[2]:
            wrong.append(f"entry {index} has block headers")
        else:
            try:
                certificate = parsed(block[0])
            except ValueError:
                wrong.append(f"entry {index} does not parse as X.509 certificate: x509: malformed certificate")
                continue
            if not is_authority(certificate):
                wrong.append(f"entry {index} does not have the CA bit set")
            key = certificate.tbs_certificate_bytes
            if key in seen:
                wrong.append(f"duplicate trust anchor (indices [{seen[key]} {index}])")
            seen.setdefault(key, index)
    return wrong


def parsed(pem: str) -> Certificate:
    from cryptography import x509
    return x509.load_pem_x509_certificate(pem.encode())


def is_authority(certificate: Certificate) -> bool:
    from cryptography import x509
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


trust_bundle_update = fixed("spec.signerName")


def user_annotations(obj: Obj, path: str, causes: Causes) -> None:
    """What a pod's author tells the signer: annotations, of which each has a domain."""
    given, at = obj.get("spec", {}).get("unverifiedUserAnnotations", {}), "spec.unverifiedUserAnnotations"
    annotation_pairs(given, at, causes)
    for key in given:
        if "/" not in key:
            causes.invalid(f"{at}[{key}]", key, "must be a domain-prefixed key (such as \"acme.io/foo\")")


def signer(value: str | None, path: str, causes: Causes) -> None:
    signer_name(value or "", path, causes)


pod_request = declare(
    field("spec.signerName", signer), field("spec.podName", required, form(names.dns_subdomain)),
    field("spec.podUID", required, longest(128)),
    field("spec.serviceAccountName", required, form(names.dns_subdomain)),
    field("spec.serviceAccountUID", required, longest(128)),
    field("spec.nodeName", required, form(names.dns_subdomain)), field("spec.nodeUID", required, longest(128)),
    field("spec.maxExpirationSeconds", required,
          between(SHORTEST_OF_POD, LONGEST_OF_POD, f"must be in the range [{SHORTEST_OF_POD}, {LONGEST_OF_POD}]")),
    field("spec.stubPKCS10Request", required, longest(LARGEST_STUB)), judged(user_annotations))


def unchanging(path: str) -> UpdateRule:
    """A part that stays, and is not shown where somebody tries to change it."""
    def rule(obj: Obj, old: Obj, causes: Causes) -> None:
        if obj.get(path) != old.get(path):
            causes.invalid(path, OMITTED, IMMUTABLE)
    return rule


pod_request_update = unchanging("spec")
