"""Versions of former days and what became of them: Ingresses and workloads of extensions/v1beta1 and apps/v1beta1.

What has moved moves back: an old backend's `serviceName` and `servicePort` are today's `service`, a Deployment's wish
to be rolled back is an annotation that its controller reads. All else is called the same.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

ROLLBACK = "deprecated.deployment.rollback.to"
"""The annotation in which apps/v1 carries the revision that a Deployment of old is to go back to."""


def ingress_to_stored(obj: Object) -> Object:
    spec = dict(obj.get("spec") or {})
    if "backend" in spec:
        spec["defaultBackend"] = new_backend(spec.pop("backend"))
    return obj | {"spec": with_backends(spec, new_backend)}


def ingress_from_stored(obj: Object) -> Object:
    spec = dict(obj.get("spec") or {})
    if "defaultBackend" in spec:
        spec["backend"] = old_backend(spec.pop("defaultBackend"))
    return obj | {"spec": with_backends(spec, old_backend)}


def with_backends(spec: Object, convert: Any) -> Object:
    """The spec with the backend of each path converted."""
    if not spec.get("rules"):
        return spec
    rules = []
    for rule in spec["rules"]:
        http = rule.get("http")
        if http is not None:
            paths = [path | {"backend": convert(path["backend"])} if "backend" in path else path
                     for path in http.get("paths") or ()]
            rules.append(rule | {"http": http | {"paths": paths}})
        else:
            rules.append(rule)
    return spec | {"rules": rules}


def new_backend(old: Object) -> Object:
    """`{serviceName, servicePort}` as `{service: {name, port}}`. A backend that is a resource names no Service."""
    rest = {key: value for key, value in old.items() if key not in ("serviceName", "servicePort")}
    name, port = old.get("serviceName", ""), old.get("servicePort")
    if not name and port in (None, 0, ""):
        return rest
    service: Object = {"name": name}
    if port not in (None, 0, ""):
        service["port"] = {"number" if isinstance(port, int) else "name": port}
    return rest | {"service": service}


def old_backend(new: Object) -> Object:
    rest = {key: value for key, value in new.items() if key != "service"}
    service = new.get("service")
    if service is None:
        return rest
    port = service.get("port") or {}
    return rest | {"serviceName": service.get("name", ""), "servicePort": port.get("name") or port.get("number", 0)}


def deployment_to_stored(obj: Object) -> Object:
    spec = dict(obj.get("spec") or {})
    wish = spec.pop("rollbackTo", None)
    metadata = dict(obj["metadata"])
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != ROLLBACK}
    if wish is not None:
        annotations[ROLLBACK] = str(wish.get("revision", 0))
    if annotations or "annotations" in metadata:
        metadata["annotations"] = annotations
    return obj | {"metadata": metadata, "spec": spec}


def deployment_from_stored(obj: Object) -> Object:
    text = (obj["metadata"].get("annotations") or {}).get(ROLLBACK)
    if text is None or not text.lstrip("-").isdecimal():
        return obj
    annotations = {key: value for key, value in obj["metadata"]["annotations"].items() if key != ROLLBACK}
    metadata = {key: value for key, value in obj["metadata"].items() if key != "annotations"}
    return obj | {"metadata": metadata | ({"annotations": annotations} if annotations else {}),
                  "spec": (obj.get("spec") or {}) | {"rollbackTo": {"revision": int(text)}}}


def same(obj: Object) -> Object:
    """What is called the same in both versions."""
    return obj
