"""Whether a CustomResourceDefinition is valid: names, versions, schemas, conversion, columns, selectable fields.

What all versions say alike, upstream hoists to the top of its internal form, and names it there: the schema of the only
version is `spec.validation.openAPIV3Schema`. What was stored before a rule was there is not held to it by updates that
leave it alone. Schemas themselves are judged in `api.structural`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from timonier.api import names
from timonier.api.structural import fieldpaths, soundness, structure
from timonier.api.structural.nodes import RULES, every
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.webhooks import client_config

if TYPE_CHECKING:
    from timonier.api.structural.rulecheck import RuleChecks

APPROVED = "api-approved.kubernetes.io"
PROTECTED = ("k8s.io", "kubernetes.io")
POLICY = "see https://github.com/kubernetes/enhancements/pull/1111"
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
MOST_SELECTABLE, LONGEST_WARNING = 8, 256
REVIEW_VERSIONS = ("v1", "v1beta1")
HOISTED = {"schema": "validation", "subresources": "subresources", "selectableFields": "selectableFields",
           "additionalPrinterColumns": "additionalPrinterColumns"}
"""Fields of versions that have a common place where all versions agree, and that place."""
WITH_STATUS = {
    "description": "Description", "type": "Type", "format": "Format", "title": "Title", "maximum": "Maximum",
    "exclusiveMaximum": "ExclusiveMaximum", "minimum": "Minimum", "exclusiveMinimum": "ExclusiveMinimum",
    "maxLength": "MaxLength", "minLength": "MinLength", "pattern": "Pattern", "maxItems": "MaxItems",
    "minItems": "MinItems", "uniqueItems": "UniqueItems", "multipleOf": "MultipleOf", "required": "Required",
    "items": "Items", "properties": "Properties", "externalDocs": "ExternalDocs", "example": "Example",
    "x-kubernetes-preserve-unknown-fields": "XPreserveUnknownFields", "x-kubernetes-validations": "XValidations"}
"""What a root may say where status has a door of its own, with the names that upstream lists."""


def create(obj: Obj, causes: Causes) -> None:
    own_name(obj, causes)
    spec(spec_of(obj), None, causes, immutable=False)
    status(obj, causes)
    approval(obj, None, causes)
    preserved(spec_of(obj), None, causes)


def update(obj: Obj, old: Obj, causes: Causes) -> None:
    now, before = spec_of(obj), spec_of(old)
    if now != before:
        spec(now, before, causes, immutable=is_true(old, "Established"))
        causes.immutable(now, before, "spec", "group")
        causes.immutable(now.get("names") or {}, before.get("names") or {}, "spec.names", "plural")
    status(obj, causes)
    approval(obj, old, causes)
    preserved(now, before, causes)


def spec_of(obj: Obj) -> Obj:
    found: Obj = obj.get("spec") or {}
    return found


def own_name(obj: Obj, causes: Causes) -> None:
    plural, group = (spec_of(obj).get("names") or {}).get("plural", ""), spec_of(obj).get("group", "")
    name = obj.get("metadata", {}).get("name", "")
    if name != f"{plural}.{group}":
        causes.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')


def is_true(obj: Obj, condition: str) -> bool:
    return any(found.get("type") == condition and found.get("status") == "True"
               for found in (obj.get("status") or {}).get("conditions") or ())


def places(found: Obj, field: str) -> Iterator[tuple[str, Any]]:
    """What the versions say of a field, each with its path: once where they agree."""
    versions = found.get("versions") or []
    said = [version.get(field) for version in versions]
    if said and all(each == said[0] for each in said):
        if said[0]:
            yield f"spec.{HOISTED[field]}", said[0]
        return
    for index, each in enumerate(said):
        if each:
            yield f"spec.versions[{index}].{field}", each


def spec(found: Obj, old: Obj | None, causes: Causes, *, immutable: bool) -> None:
    group, versions = found.get("group", ""), found.get("versions") or []
    if not group:
        causes.required("spec.group")
    elif wrong := names.dns_subdomain(group):
        causes.invalid("spec.group", group, ",".join(wrong))
    elif "." not in group:
        causes.invalid("spec.group", group, "should be a domain with at least one dot")
    causes.one_of(found, "spec", "scope", ("Cluster", "Namespaced"))
    if old is None or all(has_schema(version) for version in old.get("versions") or ()):
        for index, version in enumerate(versions):
            if not has_schema(version):
                causes.required(f"spec.versions[{index}].schema.openAPIV3Schema")
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        if wrong := names.dns1035(version.get("name", "")):
            causes.invalid(f"{path}.name", version.get("name", ""), ",".join(wrong))
        deprecation(version, f"{path}.deprecationWarning", causes)
    called = [version.get("name") for version in versions]
    if len(set(called)) < len(called):
        causes.invalid("spec.versions", versions, "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        causes.invalid("spec.versions", versions, "must have exactly one version marked as storage version")
    given_names(found.get("names") or {}, "spec.names", causes, required=True)
    parts(found, old, causes)
    conversion(found.get("conversion") or {}, causes, established=immutable)
    if immutable and old is not None:
        causes.immutable(found, old, "spec", "scope")
        causes.immutable(found.get("names") or {}, old.get("names") or {}, "spec.names", "kind")


def has_schema(version: Obj) -> bool:
    return "openAPIV3Schema" in (version.get("schema") or {})


def parts(found: Obj, old: Obj | None, causes: Causes) -> None:
    """Schemas, subresources, columns and selectable fields, each where upstream sees it."""
    with_status = {version.get("name"): "status" in (version.get("subresources") or {})
                   for version in found.get("versions") or ()}
    for path, validation in places(found, "schema"):
        if "openAPIV3Schema" in validation:
            index = path.removeprefix("spec.versions[").partition("]")[0]
            has_status = with_status[found["versions"][int(index)].get("name")] if index.isdigit() \
                else any(with_status.values())
            schema(validation["openAPIV3Schema"], f"{path}.openAPIV3Schema", old, causes, has_status=has_status)
    for path, subresources in places(found, "subresources"):
        scale(subresources.get("scale"), f"{path}.scale", causes)
    for path, given in places(found, "additionalPrinterColumns"):
        for place, each in enumerate(given):
            column(each, f"{path}[{place}]", causes)
    for path, given in places(found, "selectableFields"):
        root = next((version["schema"]["openAPIV3Schema"] for version in found["versions"]
                     if version.get("selectableFields") == given and has_schema(version)), None)
        if root is not None:
            selectable(given, root, path, causes)


def deprecation(version: Obj, path: str, causes: Causes) -> None:
    warning = version.get("deprecationWarning")
    if warning is None:
        return
    if not version.get("deprecated"):
        causes.invalid(path, warning, "can only be set for deprecated versions")
        return
    if len(warning.encode()) > LONGEST_WARNING:
        causes.invalid(path, warning, f"must be <= {LONGEST_WARNING} characters long")
    if not warning:
        causes.invalid(path, warning, "must not be an empty string")
    for index, letter in enumerate(warning):
        if not letter.isprintable():
            causes.invalid(path, warning, "must only contain printable UTF-8 characters; non-printable character found "
                                          f"at index {len(warning[:index].encode())}")
            break


def schema(root: Obj, path: str, old: Obj | None, causes: Causes, *, has_status: bool) -> None:
    if has_status:
        status_root(root, path, causes)
    if root.get("nullable"):
        causes.forbidden(f"{path}.nullable", "nullable cannot be true at the root")
    unasked = structure.unsupported(root)
    before = Causes()
    checks = None
    if not unasked and not was_unstructural(old):
        before += structure.violations(root, path)
        with_rules = not before and any(node.get(RULES) for node in every(root))
        before = before or soundness.bad_defaults(root, path, default_rules if with_rules else None)
        if with_rules and not before:
            checks = rule_checks(root, old)
    said = soundness.defects(root, path, checks)
    causes += before
    causes += said
    if unasked and not said:
        causes.invalid(path, "", unasked)
    if checks is not None:
        causes += checks.altogether(path)


def rule_checks(root: Obj, old: Obj | None) -> RuleChecks:
    """What judges the rules of a schema, which may be that of an older definition."""
    from timonier.api.structural.rulecheck import RuleChecks, expressions  # not without rules: it reads expressions

    roots = schemas_of(old)
    return RuleChecks(expressions(roots), unchanged=root in roots)


def default_rules(node: Obj, value: Any, path: str) -> Causes:
    """What the rules of a schema say against its default: as what was there before, and as what is new."""
    from timonier.api.structural import rules

    compiled = rules.compiled(node, root=False)
    if compiled is None:
        return Causes()
    return Causes(compiled.judge(value, value, path, ratchet=False) or compiled.judge(value, path=path))


def was_unstructural(old: Obj | None) -> bool:
    """Whether a definition was stored with schemas that are not structural; such may stay so."""
    return any(structure.unsupported(root) or structure.violations(root) for root in schemas_of(old))


def schemas_of(found: Obj | None) -> list[Obj]:
    return [version["schema"]["openAPIV3Schema"] for version in (found or {}).get("versions") or ()
            if has_schema(version)]


def status_root(root: Obj, path: str, causes: Causes) -> None:
    """Status is judged by `properties[status]` alone, so the root says nothing that would be lost."""
    for field, value in root.items():
        if field == "type":
            if value != "object":
                causes.invalid(f"{path}.type", value, 'only "object" is allowed as the type at the root of the schema '
                                                      "if the status subresource is enabled")
                return
        elif field not in WITH_STATUS and value not in (None, "", False, [], {}):
            causes.invalid(path, root, f"only [{' '.join(WITH_STATUS.values())}] fields are allowed at the root of the "
                                       "schema if the status subresource is enabled")
            return


def given_names(given: Obj, path: str, causes: Causes, *, required: bool = False) -> None:
    for field in ("plural", "singular", "kind", "listKind"):
        if required and not given.get(field):
            causes.required(f"{path}.{field}")
    for field in ("plural", "singular", "kind", "listKind"):
        value = given.get(field, "")
        mixed = field in ("kind", "listKind")
        if value and (wrong := names.dns1035(value.lower() if mixed else value)):
            start = "may have mixed case, but should otherwise match: " if mixed else ""
            causes.invalid(f"{path}.{field}", value, start + ",".join(wrong))
    for index, name in enumerate(given.get("shortNames") or ()):
        if wrong := names.dns1035(name):
            causes.invalid(f"{path}.shortNames[{index}]", name, ",".join(wrong))
    if given.get("kind") and given["kind"] == given.get("listKind"):
        causes.invalid(f"{path}.listKind", given["listKind"], "kind and listKind may not be the same")
    for index, category in enumerate(given.get("categories") or ()):
        if wrong := names.dns1035(category):
            causes.invalid(f"{path}.categories[{index}]", category, ",".join(wrong))


def simple_path(path: str, place: str, causes: Causes) -> bool:
    if not path.startswith("."):
        causes.invalid(place, path, "must be a simple json path starting with .")
        return False
    return True


def scale(given: Obj | None, path: str, causes: Causes) -> None:
    if given is None:
        return
    for field, start in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        value, place = given.get(field, ""), f"{path}.{field}"
        if not value:
            causes.required(place)
        elif simple_path(value, place, causes) and not value.startswith(f"{start}."):
            causes.invalid(place, value, f"should be a json path under {start}")
    value, place = given.get("labelSelectorPath"), f"{path}.labelSelectorPath"
    if value and simple_path(value, place, causes) and not value.startswith((".spec.", ".status.")):
        causes.invalid(place, value, "should be a json path under either .spec or .status")


def column(given: Obj, path: str, causes: Causes) -> None:
    if not given.get("name"):
        causes.required(f"{path}.name")
    kinds = f"must be one of {','.join(COLUMN_TYPES)}"
    if not given.get("type"):
        causes.required(f"{path}.type", kinds)
    elif given["type"] not in COLUMN_TYPES:
        causes.invalid(f"{path}.type", given["type"], kinds)
    if given.get("format") and given["format"] not in COLUMN_FORMATS:
        causes.invalid(f"{path}.format", given["format"], f"must be one of {','.join(COLUMN_FORMATS)}")
    if not given.get("jsonPath"):
        causes.required(f"{path}.JSONPath")
    else:
        simple_path(given["jsonPath"], f"{path}.JSONPath", causes)


def selectable(given: list[Obj], root: Obj, path: str, causes: Causes) -> None:
    known: set[str] = set()
    for index, field in enumerate(given):
        place, wanted = f"{path}[{index}].jsonPath", field.get("jsonPath", "")
        if not wanted:
            causes.required(place)
            continue
        try:
            written, found = fieldpaths.resolve(wanted, root, brackets=False)
        except fieldpaths.BadPath as error:
            causes.invalid(place, wanted, f"is an invalid path: {error}")
            continue
        if written.split(".")[0] == "metadata":
            causes.invalid(place, wanted, "must not point to fields in metadata")
        if found.get("type") not in ("string", "boolean", "integer"):
            causes.invalid(place, wanted, "must point to a field of type string, boolean or integer. Enum string "
                                          "fields and strings with formats are allowed.")
        if written in known:
            causes.duplicate(place, wanted)
        known.add(written)
    if len(known) > MOST_SELECTABLE:
        causes.too_many(path, len(known), MOST_SELECTABLE)


def conversion(given: Obj, causes: Causes, *, established: bool) -> None:
    path, hook = "spec.conversion", given.get("webhook") or {}
    if not given:
        return
    causes.one_of(given, path, "strategy", ("None", "Webhook"))
    config, versions = hook.get("clientConfig"), hook.get("conversionReviewVersions") or []
    if given.get("strategy") == "Webhook":
        if config is None:
            causes.required(f"{path}.webhookClientConfig", "required when strategy is set to Webhook")
        else:
            client_config(config, f"{path}.webhookClientConfig", causes)
            if established and config.get("caBundle"):
                authorities(config["caBundle"], f"{path}.webhookClientConfig.caBundle", causes)
        review_versions(versions, f"{path}.conversionReviewVersions", causes)
        return
    for present, field in ((config is not None, "webhookClientConfig"), (bool(versions), "conversionReviewVersions")):
        if present:
            causes.forbidden(f"{path}.{field}", "should not be set when strategy is not set to Webhook")


def review_versions(versions: list[str], path: str, causes: Causes) -> None:
    if not versions:
        causes.required(path)
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            causes.invalid(f"{path}[{index}]", version, "duplicate version")
        else:
            causes.each_invalid(f"{path}[{index}]", version, names.dns1035(version))
    if not set(versions) & set(REVIEW_VERSIONS):
        causes.invalid(path, versions, f"must include at least one of {', '.join(REVIEW_VERSIONS)}")


def authorities(bundle: str, path: str, causes: Causes) -> None:
    """Certificates in PEM, in base64 as bytes are in JSON."""
    if not certificates(bundle):
        causes.invalid(path, bundle, "unable to load root certificates: unable to parse bytes as PEM block")


def certificates(bundle: str) -> bool:
    """Whether a caBundle holds certificates; an empty one leaves it to the machine whom to trust."""
    import base64

    from cryptography import x509

    pem = base64.b64decode(bundle)
    if not pem.strip():
        return True
    try:
        return bool(x509.load_pem_x509_certificates(pem))
    except ValueError:
        return False


def status(obj: Obj, causes: Causes) -> None:
    found = obj.get("status") or {}
    given_names(found.get("acceptedNames") or {}, "status.acceptedNames", causes)
    path, stored = "status.storedVersions", found.get("storedVersions") or []
    if not stored:
        causes.invalid(path, stored, "must have at least one stored version")
        return
    versions = {version.get("name"): version for version in spec_of(obj).get("versions") or ()}
    for name, version in versions.items():
        if version.get("storage") and name not in stored:
            causes.invalid(path, stored, f"must have the storage version {name}")
    for index, name in enumerate(stored):
        if name not in versions:
            causes.invalid(f"{path}[{index}]", name, f"missing from spec.versions; {name} was previously a storage "
                           "version, and must remain in spec.versions until a storage migration ensures no data "
                           f"remains persisted in {name} and removes {name} from status.storedVersions")


def is_protected(group: str) -> bool:
    """Whether a group belongs to the community, which reviews what is put into it."""
    return any(group == domain or group.endswith(f".{domain}") for domain in PROTECTED)


def approval_of(obj: Obj) -> tuple[str, str]:
    """How a definition in a community group stands to its review (Approved, Unapproved, Missing, Invalid), and why."""
    text = (obj.get("metadata", {}).get("annotations") or {}).get(APPROVED, "")
    if not text:
        return "Missing", f'protected groups must have approval annotation "{APPROVED}", {POLICY}'
    if text.startswith("unapproved"):
        return "Unapproved", f'not approved: "{text}"'
    url = urlsplit(text)
    if url.scheme and url.netloc:
        return "Approved", f"approved in {text}"
    return "Invalid", f'protected groups must have approval annotation "{APPROVED}" with either a URL or a reason ' \
                      f'starting with "unapproved", {POLICY}'


def approval(obj: Obj, old: Obj | None, causes: Causes) -> None:
    if not is_protected(spec_of(obj).get("group", "")):
        return
    state, why = approval_of(obj)
    path = f"metadata.annotations[{APPROVED}]"
    if old is not None and approval_of(old)[0] == state:
        return
    if state == "Missing":
        causes.required(path, why)
    elif state == "Invalid":
        causes.invalid(path, obj["metadata"]["annotations"][APPROVED], why)


def preserved(found: Obj, old: Obj | None, causes: Causes) -> None:
    if not found.get("preserveUnknownFields") or (old or {}).get("preserveUnknownFields"):
        return
    causes.invalid("spec.preserveUnknownFields", True, "cannot set to true, set x-kubernetes-preserve-unknown-fields "
                                                       "to true in spec.versions[*].schema instead")
    if any(node.get("default") is not None for version in found.get("versions") or () if has_schema(version)
           for node in every(version["schema"]["openAPIV3Schema"])):
        causes.invalid("spec.preserveUnknownFields", True, "must be false in order to use defaults in the schema")
    if (found.get("conversion") or {}).get("strategy", "None") != "None":
        causes.invalid("spec.conversion.strategy", found["conversion"]["strategy"],
                       "must be None if spec.preserveUnknownFields is true")


