"""Questions of authorisation as objects: the spec of a SubjectAccessReview, from and to what authorisers look at.

The server asks its webhooks by such specs, and answers those that users send it. A selector that cannot be read narrows
nothing, so that what it asks about is more, and never allowed by mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from timonier.api.selectors import BadSelector, Labels
from timonier.apiserver.request import Attributes, Object, User, demanded

RESOURCE_PARTS = ("namespace", "verb", "group", "version", "resource", "subresource", "name")
OPERATORS = {"in": "In", "=": "In", "==": "In", "notin": "NotIn", "!=": "NotIn", "exists": "Exists",
             "!": "DoesNotExist", "gt": "Gt", "lt": "Lt"}


def spec_of(attributes: Attributes) -> Object:
    """The spec of a SubjectAccessReview that asks about a request."""
    user = attributes.user
    subject: Object = {"user": user.name, "groups": list(user.groups), "uid": user.uid,
                       "extra": {key: list(values) for key, values in user.extra.items()}}
    spec = {name: value for name, value in subject.items() if value}
    if not attributes.is_resource:
        return {"nonResourceAttributes": {"path": attributes.path, "verb": attributes.verb}} | spec
    resource: Object = {part: value for part in RESOURCE_PARTS if (value := getattr(attributes, part))}
    for field, found in (("fieldSelector", field_requirements(attributes.field_selector)),
                         ("labelSelector", label_requirements(attributes.label_selector))):
        if found:
            resource[field] = {"requirements": found}
    return {"resourceAttributes": resource} | spec


def attributes_of(spec: Object, subject: User) -> tuple[Attributes, str]:
    """What a review asks about, a resource or a path, and what of its selectors could not be read."""
    path = spec.get("nonResourceAttributes")
    if path is not None:
        return Attributes(subject, path.get("verb", ""), is_resource=False, path=path.get("path", "")), ""
    resource = spec.get("resourceAttributes") or {}
    parts = {part: resource.get(part, "") for part in RESOURCE_PARTS}
    wrong: list[str] = []
    fields = selector_text(resource.get("fieldSelector") or {}, field_clause, wrong)
    labels = selector_text(resource.get("labelSelector") or {}, label_clause, wrong)
    try:
        Labels.parse(labels)
    except BadSelector as error:
        wrong.append(f"spec.resourceAttributes.labelSelector ignored due to parse error: {error}")
        labels = ""
    return Attributes(subject, parts.pop("verb"), fields=demanded(fields), field_selector=fields,
                      label_selector=labels, **parts), "; ".join(wrong)


def selector_text(selector: Object, clause: Any, wrong: list[str]) -> str:
    """A selector of a review as text. Requirements that have none are left out, and told of."""
    if selector.get("rawSelector"):
        return str(selector["rawSelector"])
    return ",".join(text for requirement in selector.get("requirements") or ()
                    if (text := clause(requirement.get("key", ""), requirement.get("operator", ""),
                                       requirement.get("values") or (), wrong)))


def field_clause(key: str, operator: str, values: Sequence[str], wrong: list[str]) -> str:
    sign = {"In": "=", "NotIn": "!="}.get(operator, "")
    if not sign or len(values) != 1:
        wrong.append(f'spec.resourceAttributes.fieldSelector partially ignored: operator "{operator}" with '
                     f"{len(values)} values is not supported for fields")
        return ""
    return f"{key}{sign}{values[0]}"


def label_clause(key: str, operator: str, values: Sequence[str], wrong: list[str]) -> str:
    match operator:
        case "In" | "NotIn":
            return f"{key} {operator.lower()} ({','.join(values)})"
        case "Exists":
            return key
        case "DoesNotExist":
            return f"!{key}"
        case "Gt" | "Lt" if len(values) == 1:
            return f"{key}{'>' if operator == 'Gt' else '<'}{values[0]}"
    wrong.append(f'spec.resourceAttributes.labelSelector partially ignored: "{operator}" is not a valid label selector '
                 "operator")
    return ""


def field_requirements(selector: str) -> list[Object]:
    return list(field_clauses(selector)) if selector else []


def field_clauses(selector: str) -> Iterator[Object]:
    for clause in selector.split(","):
        for sign, operator in (("!=", "NotIn"), ("==", "In"), ("=", "In")):
            key, found, value = clause.partition(sign)
            if found:
                yield {"key": key.strip(), "operator": operator, "values": [value.strip()]}
                break


def label_requirements(selector: str) -> list[Object]:
    if not selector:
        return []
    try:
        found = Labels.parse(selector).requirements
    except BadSelector:
        return []
    return [{"key": each.key, "operator": OPERATORS[each.operator]}
            | ({"values": list(each.values)} if each.values else {}) for each in found]
