"""What extends the API from without: API services. Custom resource definitions are judged in `definitions`."""

from __future__ import annotations

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj


def api_service(obj: Obj, causes: Causes) -> None:
    spec, name = obj.get("spec", {}), obj.get("metadata", {}).get("name", "")
    group, version = spec.get("group", ""), spec.get("version", "")
    expected = f"{version}.{group}"
    if name != expected:
        causes.invalid("metadata.name", name, f"must be `spec.version+\".\"+spec.group`: \"{expected}\"")
    if wrong := names.dns1035(version):
        causes.invalid("spec.version", version, wrong[0])
    for field, highest in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        if not 0 < spec.get(field, 0) <= highest:
            causes.invalid(f"spec.{field}", spec.get(field, 0), f"must be positive and less than {highest}")
    service = spec.get("service")
    if service is None:
        if spec.get("caBundle"):
            causes.invalid("spec.caBundle", f"{len(spec['caBundle']) * 3 // 4} bytes",
                           "local APIServices may not have a caBundle")
        if spec.get("insecureSkipTLSVerify"):
            causes.invalid("spec.insecureSkipTLSVerify", True, "local APIServices may not have insecureSkipTLSVerify")
        return
    for field in ("namespace", "name"):
        if not service.get(field):
            causes.required(f"spec.service.{field}")
    causes.each_invalid("spec.service.port", service.get("port", 443), names.port_number(service.get("port", 443)))
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        causes.invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present")


def api_service_status(obj: Obj, old: Obj, causes: Causes) -> None:
    for index, condition in enumerate(obj.get("status", {}).get("conditions", ())):
        if condition.get("status", "") not in ("True", "False", "Unknown"):
            causes.unsupported(f"status.conditions[{index}].status", condition.get("status", ""),
                               ("False", "True", "Unknown"))
