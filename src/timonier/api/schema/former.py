"""Versions of former days, which the published schema of v1.37 no longer has, told by how they differ from today's.

Manifests of those days are still about, so some of their kinds are accepted, stored as what became of them, and shown
as either. Only what differs has a definition of its own here; all else refers to the present one. `CHANGED` is the
table: for each definition the present one that it is made of, the fields that it has not, those that it has beside, and
what it demands. Source: the Go types of k8s.io/api, extensions/v1beta1 and apps/v1beta1.
"""

from __future__ import annotations

from typing import Any

EXTENSIONS, OLD_APPS = "io.k8s.api.extensions.v1beta1.", "io.k8s.api.apps.v1beta1."
APPS, NETWORKING = "io.k8s.api.apps.v1.", "io.k8s.api.networking.v1."
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
Schema = dict[str, Any]
Changed = tuple[str, tuple[str, ...], dict[str, Schema], tuple[str, ...]]


def ref(name: str) -> Schema:
    return {"$ref": name}


def refs(name: str) -> Schema:
    return {"type": "array", "items": {"$ref": name}}


def workload(group: str, kind: str, *, spec: dict[str, Schema]) -> dict[str, Changed]:
    """A kind of apps, its list and its spec, whose selector may be left out."""
    return {
        group + kind: (APPS + kind, (), {"spec": ref(f"{group}{kind}Spec")}, ()),
        f"{group}{kind}List": (f"{APPS}{kind}List", (), {"items": refs(group + kind)}, ("items",)),
        f"{group}{kind}Spec": (f"{APPS}{kind}Spec", (), spec, ("template",)),
    }


CHANGED: dict[str, Changed] = {
    **workload(EXTENSIONS, "Deployment", spec={"rollbackTo": ref(EXTENSIONS + "RollbackConfig")}),
    **workload(OLD_APPS, "Deployment", spec={"rollbackTo": ref(OLD_APPS + "RollbackConfig")}),
    **workload(OLD_APPS, "StatefulSet", spec={}),
    EXTENSIONS + "RollbackConfig": ("", (), {"revision": {"type": "integer", "format": "int64"}}, ()),
    OLD_APPS + "RollbackConfig": ("", (), {"revision": {"type": "integer", "format": "int64"}}, ()),
    EXTENSIONS + "Ingress": (NETWORKING + "Ingress", (), {"spec": ref(EXTENSIONS + "IngressSpec")}, ()),
    EXTENSIONS + "IngressList": (NETWORKING + "IngressList", (), {"items": refs(EXTENSIONS + "Ingress")}, ("items",)),
    EXTENSIONS + "IngressSpec": (NETWORKING + "IngressSpec", ("defaultBackend",), {
        "backend": ref(EXTENSIONS + "IngressBackend"),
        "rules": refs(EXTENSIONS + "IngressRule") | {"x-kubernetes-list-type": "atomic"}}, ()),
    EXTENSIONS + "IngressRule": (NETWORKING + "IngressRule", (), {
        "http": ref(EXTENSIONS + "HTTPIngressRuleValue")}, ()),
    EXTENSIONS + "HTTPIngressRuleValue": (NETWORKING + "HTTPIngressRuleValue", (), {
        "paths": refs(EXTENSIONS + "HTTPIngressPath") | {"x-kubernetes-list-type": "atomic"}}, ("paths",)),
    EXTENSIONS + "HTTPIngressPath": (NETWORKING + "HTTPIngressPath", (), {
        "backend": ref(EXTENSIONS + "IngressBackend")}, ("backend",)),
    EXTENSIONS + "IngressBackend": (NETWORKING + "IngressBackend", ("service",), {
        "serviceName": {"type": "string"}, "servicePort": ref(INT_OR_STRING)}, ()),
}

DOCS: dict[tuple[str, str], str] = {
    **dict.fromkeys(((group + "RollbackConfig", "revision") for group in (EXTENSIONS, OLD_APPS)),
                    "The revision to go back to; zero is the one before."),
    (EXTENSIONS + "IngressSpec", "backend"): "The backend that takes what no rule matches; today's defaultBackend.",
    (EXTENSIONS + "IngressBackend", "serviceName"): "The name of the Service; today's service.name.",
    (EXTENSIONS + "IngressBackend", "servicePort"):
        "The port of the Service by number or by name; today's service.port.",
}
"""What fields are for that there are no longer: in our words, since nothing is published of them now."""


def former(present: dict[str, Schema]) -> dict[str, Schema]:
    """The definitions of former versions, made of the present ones."""
    made: dict[str, Schema] = {}
    for name, (origin, without, beside, required) in CHANGED.items():
        node: Schema = present[origin] if origin else {"type": "object", "properties": {}}
        properties = {key: child for key, child in node["properties"].items() if key not in without} | beside
        made[name] = {key: child for key, child in node.items() if key != "required"} | {"properties": properties} \
            | ({"required": list(required)} if required else {}) | own_kind(name, node)
    return made


def own_kind(name: str, node: Schema) -> Schema:
    """The group, version and kind of a definition that is one."""
    given = node.get("x-kubernetes-group-version-kind")
    if not given:
        return {}
    *_, group, version, kind = name.split(".")
    return {"x-kubernetes-group-version-kind": [{"group": group, "kind": kind, "version": version}]}


def former_docs(present: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The descriptions of former versions."""
    made: dict[str, list[Any]] = {}
    for name, (origin, without, beside, _) in CHANGED.items():
        text, fields, items = present[origin] if origin else ("", dict[str, Any](), None)
        kept = {key: child for key, child in fields.items() if key not in without}
        own: dict[str, Any] = {key: [DOCS[name, key], {}, None] for key in beside if (name, key) in DOCS}
        made[name] = [text, kept | own, items]
    return made
