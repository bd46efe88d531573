"""Who may do what: roles, bindings, and questions about it."""

from __future__ import annotations

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.metadata import label_selector

GROUP = "rbac.authorization.k8s.io"
SUBJECTS = ("Group", "ServiceAccount", "User")


def role(obj: Obj, causes: Causes) -> None:
    rules(obj, causes, namespaced=True)


def cluster_role(obj: Obj, causes: Causes) -> None:
    rules(obj, causes, namespaced=False)
    selectors = obj.get("aggregationRule", {}).get("clusterRoleSelectors", ())
    if "aggregationRule" in obj and not selectors:
        causes.required("aggregationRule.clusterRoleSelectors", "at least one clusterRoleSelector required if "
                        "aggregationRule is non-nil")
    for index, selector in enumerate(selectors):
        label_selector(selector, f"aggregationRule.clusterRoleSelectors[{index}]", causes)


def rules(obj: Obj, causes: Causes, *, namespaced: bool) -> None:
    for index, rule in enumerate(obj.get("rules", ())):
        path, urls = f"rules[{index}]", rule.get("nonResourceURLs", ())
        if not rule.get("verbs"):
            causes.required(f"{path}.verbs", "verbs must contain at least one value")
        if urls:
            if namespaced:
                causes.invalid(f"{path}.nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs")
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                causes.invalid(f"{path}.nonResourceURLs", urls,
                               "rules cannot apply to both regular resources and non-resource URLs")
            continue
        if not rule.get("apiGroups"):
            causes.required(f"{path}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            causes.required(f"{path}.resources", "resource rules must supply at least one resource")


def role_binding(obj: Obj, causes: Causes) -> None:
    binding(obj, ("ClusterRole", "Role"), causes)


def cluster_role_binding(obj: Obj, causes: Causes) -> None:
    binding(obj, ("ClusterRole",), causes)


def binding(obj: Obj, roles: tuple[str, ...], causes: Causes) -> None:
    reference = obj.get("roleRef", {})
    if reference.get("apiGroup") != GROUP:
        causes.unsupported("roleRef.apiGroup", reference.get("apiGroup", ""), (GROUP,))
    if reference.get("kind") not in roles:
        causes.unsupported("roleRef.kind", reference.get("kind", ""), roles)
    name = reference.get("name", "")
    if not name:
        causes.required("roleRef.name")
    else:
        causes.each_invalid("roleRef.name", name, names.path_segment(name))
    for index, subject in enumerate(obj.get("subjects", ())):
        check_subject(subject, f"subjects[{index}]", causes)


def check_subject(subject: Obj, path: str, causes: Causes) -> None:
    name, kind, group = subject.get("name", ""), subject.get("kind", ""), subject.get("apiGroup", "")
    if not name:
        causes.required(f"{path}.name")
    if kind == "ServiceAccount":
        if name:
            causes.each_invalid(f"{path}.name", name, names.dns_subdomain(name))
        if group:
            causes.unsupported(f"{path}.apiGroup", group, ("",))
        if not subject.get("namespace"):
            causes.required(f"{path}.namespace")
    elif kind in ("User", "Group"):
        if group != GROUP:
            causes.unsupported(f"{path}.apiGroup", group, (GROUP,))
    else:
        causes.unsupported(f"{path}.kind", kind, SUBJECTS)


def binding_update(obj: Obj, old: Obj, causes: Causes) -> None:
    if obj.get("roleRef") != old.get("roleRef"):
        causes.invalid("roleRef", obj.get("roleRef"), "cannot change roleRef")


def subject_access_review(obj: Obj, causes: Causes) -> None:
    self_access_review(obj, causes)
    spec = obj.get("spec", {})
    if not spec.get("user") and not spec.get("groups"):
        causes.invalid("spec.user", spec.get("user", ""), "at least one of user or group must be specified")


def local_access_review(obj: Obj, causes: Causes) -> None:
    """A review within a namespace asks about what is in it, and nowhere else."""
    spec, namespace = obj.get("spec", {}), obj.get("metadata", {}).get("namespace", "")
    nameless = obj | {"metadata": {key: value for key, value in obj.get("metadata", {}).items() if key != "namespace"}}
    subject_access_review(nameless, causes)
    asked = spec.get("resourceAttributes", {}).get("namespace", "")
    if "resourceAttributes" in spec and asked != namespace:
        causes.invalid("spec.resourceAttributes.namespace", asked, "must match metadata.namespace")
    if "nonResourceAttributes" in spec:
        causes.invalid("spec.nonResourceAttributes", spec["nonResourceAttributes"],
                       "disallowed on this kind of request")


def self_access_review(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    given = [field for field in ("resourceAttributes", "nonResourceAttributes") if field in spec]
    if len(given) == 2:
        causes.invalid("spec.nonResourceAttributes", spec["nonResourceAttributes"],
                       "cannot be specified in combination with resourceAttributes")
    elif not given:
        causes.invalid("spec.resourceAttributes", None,
                       "exactly one of nonResourceAttributes or resourceAttributes must be specified")
    for field in ("fieldSelector", "labelSelector"):
        selector = spec.get("resourceAttributes", {}).get(field)
        if selector is not None:
            asked_selector(selector, f"spec.resourceAttributes.{field}", causes)
    metadata = {key: value for key, value in obj.get("metadata", {}).items() if value and key != "managedFields"}
    if metadata:
        causes.invalid("metadata", metadata, "must be empty")


def asked_selector(selector: Obj, path: str, causes: Causes) -> None:
    """Requirements or a text. Operators that are not known narrow nothing, so that newer clients can ask here too."""
    raw, requirements = selector.get("rawSelector"), selector.get("requirements", ())
    if raw and requirements:
        causes.invalid(f"{path}.rawSelector", raw, "may not specified at the same time as requirements")
    if not raw and not requirements:
        causes.required(f"{path}.requirements",
                        f"when {path} is specified, requirements or rawSelector is required")
    for index, requirement in enumerate(requirements):
        place, values = f"{path}.requirements[{index}]", requirement.get("values", ())
        if not requirement.get("key"):
            causes.required(f"{place}.key", "must be specified")
        match requirement.get("operator", ""):
            case "In" | "NotIn" if not values:
                causes.required(f"{place}.values", "must be specified when `operator` is 'In' or 'NotIn'")
            case "Exists" | "DoesNotExist" if values:
                causes.forbidden(f"{place}.values", "may not be specified when `operator` is 'Exists' or "
                                                    "'DoesNotExist'")
