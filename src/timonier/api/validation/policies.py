"""Autoscalers, disruption budgets, and what extends the API: webhooks, API services."""

from __future__ import annotations

from timonier.api import names
from timonier.api.validation.causes import POSITIVE, Causes, Obj
from timonier.api.validation.metadata import label_selector
from timonier.api.validation.workloads import int_or_percent, not_more_than_all

FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
SIDE_EFFECTS = ("None", "NoneOnDryRun")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
LONGEST_TIMEOUT = 30


def autoscaler(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    least, most, target = spec.get("minReplicas"), spec.get("maxReplicas", 0), spec.get("scaleTargetRef", {})
    if least is not None and least < 1:
        causes.invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        causes.invalid("spec.maxReplicas", most, POSITIVE)
    if least is not None and most < least:
        causes.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    for field in ("kind", "name"):
        if not target.get(field):
            causes.required(f"spec.scaleTargetRef.{field}")
        else:
            causes.each_invalid(f"spec.scaleTargetRef.{field}", target[field], names.path_segment(target[field]))


def disruption_budget(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    if "minAvailable" in spec and "maxUnavailable" in spec:
        causes.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        if field in spec:
            int_or_percent(spec[field], f"spec.{field}", causes)
            not_more_than_all(spec[field], f"spec.{field}", causes)
    if "selector" in spec:
        label_selector(spec["selector"], "spec.selector", causes)
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in ("IfHealthyBudget", "AlwaysAllow"):
        causes.unsupported("spec.unhealthyPodEvictionPolicy", policy, ("AlwaysAllow", "IfHealthyBudget"))


def webhooks(obj: Obj, causes: Causes) -> None:
    taken: set[str] = set()
    for index, hook in enumerate(obj.get("webhooks", ())):
        path, name = f"webhooks[{index}]", hook.get("name", "")
        if wrong := names.dns_subdomain(name):
            causes.invalid(f"{path}.name", name, ",".join(wrong))
        elif len(name.split(".")) < 3:
            causes.invalid(f"{path}.name", name, "should be a domain with at least three segments separated by dots")
        if name in taken:
            causes.duplicate(f"{path}.name", name)
        taken.add(name)
        if not hook.get("admissionReviewVersions"):
            causes.required(f"{path}.admissionReviewVersions", "must specify one of v1, v1beta1")
        for place, rule in enumerate(hook.get("rules", ())):
            webhook_rule(rule, f"{path}.rules[{place}]", causes)
        for field, values in (("failurePolicy", FAILURE_POLICIES), ("matchPolicy", MATCH_POLICIES)):
            if field in hook and hook[field] not in values:
                causes.unsupported(f"{path}.{field}", hook[field], values)
        effects = hook.get("sideEffects", "")
        if effects not in SIDE_EFFECTS:
            causes.unsupported(f"{path}.sideEffects", effects, SIDE_EFFECTS)
        seconds = hook.get("timeoutSeconds", 10)
        if not 1 <= seconds <= LONGEST_TIMEOUT:
            causes.invalid(f"{path}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")
        for field in ("namespaceSelector", "objectSelector"):
            label_selector(hook.get(field, {}), f"{path}.{field}", causes)
        client_config(hook.get("clientConfig", {}), f"{path}.clientConfig", causes)
        if hook.get("matchConditions"):
            causes.forbidden(f"{path}.matchConditions", "match conditions are not supported by this server yet")


def webhook_rule(rule: Obj, path: str, causes: Causes) -> None:
    others = {"operations": "operations", "apiGroups": "API groups", "apiVersions": "API versions"}
    for field in (*others, "resources"):
        values = rule.get(field, ())
        if not values:
            causes.required(f"{path}.{field}")
        if "*" in values and len(values) > 1 and field in others:
            causes.invalid(f"{path}.{field}", values, f"if '*' is present, must not specify other {others[field]}")
    for index, operation in enumerate(rule.get("operations", ())):
        if operation not in OPERATIONS:
            causes.unsupported(f"{path}.operations[{index}]", operation, OPERATIONS)


def client_config(config: Obj, path: str, causes: Causes) -> None:
    url, service = config.get("url"), config.get("service")
    if (url is None) is (service is None):
        causes.required(path, "exactly one of url or service is required")
    elif url is not None and not url.startswith("https://"):
        causes.invalid(f"{path}.url", url, "'https' is the only allowed URL scheme; desired format: https://host[/path]")
    elif service is not None:
        for field in ("name", "namespace"):
            if not service.get(field):
                causes.required(f"{path}.service.{field}", f"service {field} is required")
        if not 1 <= service.get("port", 443) <= 65535:
            causes.invalid(f"{path}.service.port", service["port"], "port is not valid: " + names.port_number(0)[0])


def api_service(obj: Obj, causes: Causes) -> None:
    spec, name = obj.get("spec", {}), obj.get("metadata", {}).get("name", "")
    expected = f"{spec.get('version', '')}.{spec.get('group', '')}"
    if name != expected:
        causes.invalid("metadata.name", name, f"must be `spec.version+\".\"+spec.group`: \"{expected}\"")
    if wrong := names.dns1035(spec.get("version", "")):
        causes.invalid("spec.version", spec.get("version", ""), wrong[0])
    for field, highest in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        if not 0 < spec.get(field, 0) <= highest:
            causes.invalid(f"spec.{field}", spec.get(field, 0), f"must be positive and less than {highest}")
