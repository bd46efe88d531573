"""Volumes of pods, and the files that are made in them of Secrets, ConfigMaps, tokens and the pod's own fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.claims import claim_spec
from timonier.api.validation.environment import field_ref, resource_field_ref
from timonier.api.validation.metadata import label_selector, template_metadata
from timonier.api.validation.paths import plain_path
from timonier.api.validation.signers import signer_name
from timonier.api.validation.sources import PORTAL_TEXT, each_source, mode, source, too_long_portal

VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
SHORTEST_TOKEN, LONGEST_TOKEN = 600, 2**32
SHORTEST_CERTIFICATE, LONGEST_CERTIFICATE = 3600, 91 * 24 * 3600
KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")
TWICE = "conflicting duplicate paths"


def volumes(listed: Iterable[Obj], pod_name: str, path: str, causes: Causes) -> dict[str, Obj]:
    """Check a pod's volumes; returns those that are right, which containers can mount. Templates have no name."""
    good: dict[str, Obj] = {}
    taken: set[str] = set()
    created = {f"{pod_name}-{volume.get('name', '')}" for volume in listed if "ephemeral" in volume} \
        if pod_name else set()
    for index, volume in enumerate(listed):
        at, name, before = f"{path}[{index}]", volume.get("name", ""), len(causes)
        for kind in each_source(volume, at, causes):
            volume_source(kind, volume, pod_name, at, causes)
        causes.required_name(volume, at, "name", names.dns_label)
        if name in taken:
            causes.duplicate(f"{at}.name", name)
        if len(causes) == before:
            taken.add(name)
            good[name] = volume
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim in created:
            causes.invalid(f"{at}.persistentVolumeClaim.claimName", claim,
                           "must not reference a PVC that gets created for an ephemeral volume")
    return good


def volume_source(kind: str, volume: Obj, pod_name: str, path: str, causes: Causes) -> None:
    given, at = volume[kind], f"{path}.{kind}"
    match kind:
        case "secret" | "configMap":
            files(given, "secretName" if kind == "secret" else "name", at, causes)
        case "downwardAPI":
            mode(given, "defaultMode", at, causes)
            downward(given.get("items", ()), at, causes)
        case "projected":
            projected(given, at, causes)
        case "ephemeral":
            claim_template(given, volume.get("name", ""), pod_name, path, causes)
        case _:
            source(kind, given, path, causes)
            if kind == "iscsi" and too_long_portal(given, volume.get("name", "")):
                causes.invalid(f"{path}.name", volume.get("name", ""), PORTAL_TEXT)
            if kind == "image" and pod_name and not given.get("reference"):
                causes.required(f"{at}.reference")


def claim_template(given: Obj, name: str, pod_name: str, path: str, causes: Causes) -> None:
    """A claim that is made for the pod, named after both."""
    template = given.get("volumeClaimTemplate")
    if template is None:
        causes.required(f"{path}.ephemeral.volumeClaimTemplate")
    else:
        at = f"{path}.ephemeral.volumeClaimTemplate"
        template_metadata(template.get("metadata", {}), f"{at}.metadata", causes)
        claim_spec(template.get("spec", {}), f"{at}.spec", causes)
    if pod_name and name:
        claim = f"{pod_name}-{name}"
        for text in names.dns_subdomain(claim):
            causes.invalid(f"{path}.name", name, f'PVC name "{claim}": {text}')


def files(given: Obj, name: str, path: str, causes: Causes) -> None:
    """The keys of a Secret or ConfigMap as files."""
    causes.required_fields(given, path, name)
    mode(given, "defaultMode", path, causes)
    for index, item in enumerate(given.get("items", ())):
        key_to_path(item, f"{path}.items[{index}]", causes)


def key_to_path(item: Obj, path: str, causes: Causes) -> None:
    causes.required_fields(item, path, "key", "path")
    plain_path(item.get("path", ""), f"{path}.path", causes)
    mode(item, "mode", path, causes)


def downward(items: Iterable[Obj], path: str, causes: Causes) -> None:
    """Fields of the pod as files. What is wrong is said of the source, not of the item."""
    for item in items:
        causes.required_fields(item, path, "path")
        plain_path(item.get("path", ""), f"{path}.path", causes)
        if "fieldRef" in item:
            field_ref(item["fieldRef"], VOLUME_FIELDS, f"{path}.fieldRef", causes)
            if "resourceFieldRef" in item:
                causes.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
        elif "resourceFieldRef" in item:
            resource_field_ref(item["resourceFieldRef"], f"{path}.resourceFieldRef", causes, in_volume=True)
        else:
            causes.required(path, "one of fieldRef and resourceFieldRef is required")
        mode(item, "mode", path, causes)


def projected(given: Obj, path: str, causes: Causes) -> None:
    """Several sources in one volume: no two of them write the same file."""
    mode(given, "defaultMode", path, causes)
    taken: set[str] = set()
    for index, part in enumerate(given.get("sources", ())):
        at = f"{path}.sources[{index}]"
        for kind, below in part.items():
            projection(kind, below, f"{at}.{kind}", path, causes)
            for file, shown in written(kind, below):
                if file in taken:
                    causes.invalid(path, shown, TWICE)
                taken.add(file)
        if len(part) > 1:
            causes.forbidden(at, "may not specify more than 1 volume type per source")
        elif not part:
            causes.required(at, "must specify a volume type")


def written(kind: str, given: Obj) -> Iterator[tuple[str, str]]:
    """The files that a projection writes, each with what a conflict is said of."""
    match kind:
        case "secret" | "configMap" | "downwardAPI":
            for item in given.get("items", ()):
                if item.get("path"):
                    yield item["path"], item["path"] if kind == "downwardAPI" else given.get("name", "")
        case "clusterTrustBundle":
            yield given.get("path", ""), given.get("path", "")
        case "podCertificate":
            for field in ("credentialBundlePath", "keyPath", "certificateChainPath"):
                if given.get(field):
                    yield given[field], given[field]


def projection(kind: str, given: Obj, path: str, whole: str, causes: Causes) -> None:
    match kind:
        case "secret" | "configMap":
            causes.required_fields(given, path, "name")
            for place, item in enumerate(given.get("items", ())):
                key_to_path(item, f"{path}.items[{place}]", causes)
        case "downwardAPI":
            downward(given.get("items", ()), path, causes)
        case "serviceAccountToken":
            token(given, path, whole, causes)
        case "clusterTrustBundle":
            trust_bundle(given, path, causes)
        case "podCertificate":
            pod_certificate(given, path, causes)


def token(given: Obj, path: str, whole: str, causes: Causes) -> None:
    seconds = given.get("expirationSeconds", 3600)
    if seconds < SHORTEST_TOKEN:
        causes.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    if seconds > LONGEST_TOKEN:
        causes.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    if not given.get("path"):
        causes.required(f"{whole}.path")
    else:
        plain_path(given["path"], f"{whole}.path", causes)


def trust_bundle(given: Obj, path: str, causes: Causes) -> None:
    """Certificates of authorities: those of one bundle, or of all bundles of a signer."""
    name, signer = given.get("name"), given.get("signerName")
    if name is not None and signer is not None:
        causes.invalid(path, given, "only one of name and signerName may be used")
    elif name is not None:
        if not name:
            causes.required(f"{path}.name", "must be a valid object name")
        for text in names.dns_subdomain(name.rpartition(":")[2]):
            causes.invalid(f"{path}.name", name, f"not a valid clustertrustbundlename: {text}")
        if "labelSelector" in given:
            causes.invalid(f"{path}.labelSelector", given["labelSelector"],
                           "labelSelector must be unset if name is specified")
    elif signer is not None:
        if not signer:
            causes.required(f"{path}.signerName", "must be a valid signer name")
        signer_name(signer, f"{path}.signerName", causes)
        label_selector(given.get("labelSelector", {}), f"{path}.labelSelector", causes)
    else:
        causes.required(path, "either name or signerName must be specified")
    causes.required_fields(given, path, "path")
    plain_path(given.get("path", ""), f"{path}.path", causes)


def pod_certificate(given: Obj, path: str, causes: Causes) -> None:
    """A key pair and its certificate, which the kubelet asks for (KEP-4317)."""
    signer_name(given.get("signerName", ""), f"{path}.signerName", causes)
    if given.get("keyType", "") not in KEY_TYPES:
        causes.unsupported(f"{path}.keyType", given.get("keyType", ""), KEY_TYPES)
    seconds = given.get("maxExpirationSeconds")
    if seconds is not None and not SHORTEST_CERTIFICATE <= seconds <= LONGEST_CERTIFICATE:
        causes.invalid(f"{path}.maxExpirationSeconds", seconds, "if provided, maxExpirationSeconds must be "
                       f">= {SHORTEST_CERTIFICATE} and <= {LONGEST_CERTIFICATE}")
    places = [field for field in ("credentialBundlePath", "keyPath", "certificateChainPath") if given.get(field)]
    for field in places:
        plain_path(given[field], f"{path}.{field}", causes)
    if not places:
        causes.required(path, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath")
