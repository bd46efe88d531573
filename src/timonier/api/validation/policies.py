"""Policies of admission: what they are about, what they demand or change, and how they are bound."""

from __future__ import annotations

from collections.abc import Sequence

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.expressions import expression, identifier, match_conditions
from timonier.api.validation.metadata import label_selector
from timonier.api.validation.webhooks import (
    FAILURE_POLICIES,
    MATCH_POLICIES,
    REINVOCATION,
    rule_with_operations,
)

REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
ACTIONS = ("Audit", "Deny", "Warn")
PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}
MOST_ANNOTATIONS, LONGEST_KEY = 20, 63
DENY_AND_WARN = ("must not contain both Deny and Warn (repeating the same validation failure information in the API "
                 "response and headers serves no purpose)")
NOTHING_TO_DO = "validations or auditAnnotations must be non-empty; at least one of them is required"


def validating_policy(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    common(spec, causes)
    validations, annotations = spec.get("validations", ()), spec.get("auditAnnotations", ())
    if not validations and not annotations:
        for field in ("validations", "auditAnnotations"):
            causes.required(f"spec.{field}", NOTHING_TO_DO)
    for index, validation in enumerate(validations):
        path = f"spec.validations[{index}]"
        expression(validation, "expression", path, causes)
        texts(validation, path, causes)
        causes.optional(validation, path, "reason", REASONS)
    audit_annotations(obj, annotations, causes)
    expressions_of(spec, causes)


def texts(validation: Obj, path: str, causes: Causes) -> None:
    """What is said to whoever is refused: one line."""
    message, dynamic = validation.get("message", ""), validation.get("messageExpression", "")
    if message and not message.strip():
        causes.invalid(f"{path}.message", message, "message must be non-empty if specified")
    elif "\n" in message.strip():
        causes.invalid(f"{path}.message", message, "message must not contain line breaks")
    elif "\n" in validation.get("expression", "").strip() and not message:
        causes.required(f"{path}.message", "message must be specified if expression contains line breaks")
    if dynamic and not dynamic.strip():
        causes.invalid(f"{path}.messageExpression", dynamic, "must be non-empty if specified")


def audit_annotations(obj: Obj, listed: Sequence[Obj], causes: Causes) -> None:
    name, taken = obj.get("metadata", {}).get("name", ""), set[str]()
    if len(listed) > MOST_ANNOTATIONS:
        causes.invalid("spec.auditAnnotations", listed, f"must not have more than {MOST_ANNOTATIONS} auditAnnotations")
    for index, each in enumerate(listed):
        path, key = f"spec.auditAnnotations[{index}]", each.get("key", "")
        if not key:
            causes.required(f"{path}.key", "must be specified")
        else:
            causes.each_invalid(f"{path}.key", key, names.qualified_name(f"{name}/{key}"))
        if key in taken:
            causes.duplicate(f"{path}.key", key)
        taken.add(key)
        expression(each, "valueExpression", path, causes)


def mutating_policy(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    common(spec, causes)
    mutations = spec.get("mutations", ())
    if not mutations:
        causes.required("spec.mutations", "mutations must contain at least one item")
    for index, mutation in enumerate(mutations):
        path, kind = f"spec.mutations[{index}]", mutation.get("patchType", "")
        if not kind:
            causes.required(f"{path}.patchType")
        elif kind not in PATCHES:
            causes.unsupported(f"{path}.patchType", kind, PATCHES)
        else:
            patch(mutation, kind, path, causes)
    if not spec.get("reinvocationPolicy"):
        causes.required("spec.reinvocationPolicy")
    else:
        causes.optional(spec, "spec", "reinvocationPolicy", REINVOCATION)
    expressions_of(spec, causes)


def patch(mutation: Obj, kind: str, path: str, causes: Causes) -> None:
    for other, field in PATCHES.items():
        if other == kind and field not in mutation:
            causes.required(f"{path}.{field}", f"must be specified when patchType is {kind}")
        elif other == kind:
            expression(mutation[field], "expression", f"{path}.{field}", causes)
        elif field in mutation:
            causes.invalid(f"{path}.{field}", "{}", f"must not be specified when patchType is {kind}")


def expressions_of(spec: Obj, causes: Causes) -> None:
    from timonier.api.validation.compiled import of_policy  # and with it the language, which others do without

    of_policy(spec, causes)


def common(spec: Obj, causes: Causes) -> None:
    """What policies of both sorts have: about what they are, with which parameters and variables."""
    causes.one_of(spec, "spec", "failurePolicy", FAILURE_POLICIES)
    if "paramKind" in spec:
        parameter_kind(spec["paramKind"], "spec.paramKind", causes)
    constraints = spec.get("matchConstraints")
    if constraints is None:
        causes.required("spec.matchConstraints")
    else:
        matched(constraints, "spec.matchConstraints", causes)
        if not constraints.get("resourceRules"):
            causes.required("spec.matchConstraints.resourceRules")
    match_conditions(spec.get("matchConditions", ()), "spec.matchConditions", causes)
    taken: set[str] = set()
    for index, variable in enumerate(spec.get("variables", ())):
        path = f"spec.variables[{index}]"
        identifier(variable, path, causes)
        if variable.get("name") in taken:
            causes.duplicate(f"{path}.name", variable["name"])
        taken.add(variable.get("name", ""))
        expression(variable, "expression", path, causes)


def parameter_kind(given: Obj, path: str, causes: Causes) -> None:
    version, kind = given.get("apiVersion", ""), given.get("kind", "")
    if not version:
        causes.required(f"{path}.apiVersion")
    elif version.count("/") > 1:
        causes.invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}")
    if not kind:
        causes.required(f"{path}.kind")
    elif wrong := names.dns1035(kind.lower()):
        causes.invalid(f"{path}.kind", kind, f"may have mixed case, but should otherwise match: {','.join(wrong)}")


def matched(given: Obj, path: str, causes: Causes) -> None:
    """Which requests a policy or a binding is about."""
    causes.one_of(given, path, "matchPolicy", MATCH_POLICIES)
    for field in ("namespaceSelector", "objectSelector"):
        if field not in given:
            causes.required(f"{path}.{field}")
        else:
            label_selector(given[field], f"{path}.{field}", causes)
    for field in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(given.get(field, ())):
            rule_with_operations(rule, f"{path}.{field}[{index}]", causes)
            for place, name in enumerate(rule.get("resourceNames", ())):
                at = f"{path}.{field}[{index}].resourceNames[{place}]"
                causes.each_invalid(at, name, names.path_segment(name))
                if name in rule["resourceNames"][:place]:
                    causes.duplicate(at, name)


def validating_binding(obj: Obj, causes: Causes) -> None:
    binding(obj, causes)
    actions, path = obj.get("spec", {}).get("validationActions", []), "spec.validationActions"
    if not actions:
        causes.required(path, "at least one validation action is required")
    for index, action in enumerate(actions):
        if action not in ACTIONS:
            causes.unsupported(f"{path}[{index}]", action, ACTIONS)
        if action in actions[:index]:
            causes.duplicate(f"{path}[{index}]", action)
    if "Deny" in actions and "Warn" in actions:
        causes.invalid(path, actions, DENY_AND_WARN)


def binding(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    causes.required_name(spec, "spec", "policyName", names.dns_subdomain)
    if "paramRef" in spec:
        parameter(spec["paramRef"], "spec.paramRef", causes)
    if "matchResources" in spec:
        matched(spec["matchResources"], "spec.matchResources", causes)


def parameter(given: Obj, path: str, causes: Causes) -> None:
    name, selector = given.get("name", ""), given.get("selector")
    if name:
        causes.each_invalid(f"{path}.name", name, names.path_segment(name))
        if selector is not None:
            causes.forbidden(f"{path}.name", "name and selector are mutually exclusive")
    elif selector is None:
        causes.required(path, "one of name or selector must be specified")
    if selector is not None:
        label_selector(selector, f"{path}.selector", causes)
    if given.get("parameterNotFoundAction") is None:
        causes.required(f"{path}.parameterNotFoundAction")
    else:
        causes.optional(given, path, "parameterNotFoundAction", ("Allow", "Deny"))
