"""Devices: what there is (slices, classes, taints), and who claims it. Selectors are CEL, and judged by it.

Source: Kubernetes documentation, "Dynamic Resource Allocation"; the limits of lists stand in the API reference.
"""

from __future__ import annotations

from collections.abc import Iterator

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.declared import (
    UpdateRule,
    at_least,
    declare,
    each,
    field,
    fixed,
    form,
    judged,
    non_negative,
    one_of,
    required,
    within,
)
from timonier.api.validation.metadata import template_metadata
from timonier.api.validation.scheduling import node_selector, tolerations

REQUESTS, CONSTRAINTS, CONFIGS, SELECTORS, ALTERNATIVES, TOLERATIONS, RESERVED = 32, 32, 32, 32, 8, 16, 256
DEVICES, ATTRIBUTES, TAINTS, COUNTER_SETS, COUNTERS = 128, 32, 16, 8, 32
LARGEST_EXPRESSION, LARGEST_PARAMETERS = 10 * 1024, 10 * 1024
LONGEST_DOMAIN, LONGEST_ID, LONGEST_VALUE = 63, 32, 64
EFFECTS = ("NoExecute", "NoSchedule", "None")
UNKNOWN_REQUEST = ("must be the name of a request in the claim or the name of a request and a subrequest separated by "
                   "'/'")
VERSION = (r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+"
           r"(\.[0-9A-Za-z-]+)*)?")
semantic_version = names.form("must be a string compatible with semver.org spec 2.0.0", VERSION)


def driver(value: str) -> names.Wrong:
    long = (names.too_long(LONGEST_DOMAIN),) if len(value) > LONGEST_DOMAIN else ()
    return long + names.dns_subdomain(value.lower())


def pool(value: str) -> names.Wrong:
    """Subdomains, separated by slashes."""
    return tuple(dict.fromkeys(text for part in value.split("/") for text in names.dns_subdomain(part)))


def qualified(value: str) -> names.Wrong:
    """Names of attributes and capacities: an identifier, behind its domain where it is not the driver's own."""
    domain, slash, name = value.rpartition("/")
    wrong: list[str] = []
    if slash:
        wrong += names.dns_subdomain(domain) if domain else ("the prefix must not be empty",)
        wrong += [f"the prefix must be no more than {LONGEST_DOMAIN} bytes"] if len(domain) > LONGEST_DOMAIN else []
    if not name:
        return (*wrong, "the name must not be empty")
    wrong += [f"the name must be no more than {LONGEST_ID} bytes"] if len(name) > LONGEST_ID else []
    return (*wrong, *names.c_identifier(name))


def fully_qualified(value: str) -> names.Wrong:
    return qualified(value) if "/" in value else \
        ("a fully qualified name must be a domain and a name separated by a slash",)


def selectors(given: Obj, path: str, causes: Causes) -> None:
    listed = given.get("selectors", ())
    if len(listed) > SELECTORS:
        causes.too_many(f"{path}.selectors", len(listed), SELECTORS)
    for index, selector in enumerate(listed):
        at = f"{path}.selectors[{index}]"
        if "cel" not in selector:
            causes.required(f"{at}.cel")
            continue
        text = selector["cel"].get("expression", "")
        if not text:
            causes.required(f"{at}.cel.expression")
        elif len(text) > LARGEST_EXPRESSION:
            causes.too_long(f"{at}.cel.expression", LARGEST_EXPRESSION)


def configuration(given: Obj, path: str, causes: Causes) -> None:
    if "opaque" not in given:
        causes.required(f"{path}.opaque")
        return
    opaque, at = given["opaque"], f"{path}.opaque"
    causes.required_name(opaque, at, "driver", driver)
    if opaque.get("parameters") is None:
        causes.required(f"{at}.parameters")
    elif not isinstance(opaque["parameters"], dict):
        causes.invalid(f"{at}.parameters", "<value omitted>", "parameters must be a valid JSON object")


device_class = declare(judged(lambda obj, path, causes: selectors(obj.get("spec", {}), "spec", causes)),
                       each("spec.config", judged(configuration), most=CONFIGS))


def claim(obj: Obj, causes: Causes) -> None:
    claim_devices(obj.get("spec", {}).get("devices", {}), "spec.devices", causes)


def claim_template(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    template_metadata(spec.get("metadata", {}), "spec.metadata", causes)
    claim_devices(spec.get("spec", {}).get("devices", {}), "spec.spec.devices", causes)


def claim_devices(given: Obj, path: str, causes: Causes) -> None:
    requests = given.get("requests", ())
    if len(requests) > REQUESTS:
        causes.too_many(f"{path}.requests", len(requests), REQUESTS)
    taken: set[str] = set()
    for index, request in enumerate(requests):
        at, name = f"{path}.requests[{index}]", request.get("name", "")
        causes.required_name(request, at, "name", names.dns_label)
        if name in taken:
            causes.duplicate(f"{at}.name", name)
        taken.add(name)
        device_request(request, at, causes)
    known = set(request_names(given))
    for field_name, most in (("constraints", CONSTRAINTS), ("config", CONFIGS)):
        listed = given.get(field_name, ())
        if len(listed) > most:
            causes.too_many(f"{path}.{field_name}", len(listed), most)
        for index, each_given in enumerate(listed):
            at = f"{path}.{field_name}[{index}]"
            named_requests(each_given.get("requests", ()), known, f"{at}.requests", causes)
            if field_name == "constraints":
                constraint(each_given, at, causes)
            else:
                configuration(each_given, at, causes)


def request_names(given: Obj) -> Iterator[str]:
    for request in given.get("requests", ()):
        yield request.get("name", "")
        for alternative in request.get("firstAvailable", ()):
            yield f"{request.get('name', '')}/{alternative.get('name', '')}"


def named_requests(listed: list[str], known: set[str], path: str, causes: Causes) -> None:
    if len(listed) > REQUESTS:
        causes.too_many(path, len(listed), REQUESTS)
    for index, name in enumerate(listed):
        if name not in known:
            causes.invalid(f"{path}[{index}]", name, UNKNOWN_REQUEST)
        if name in listed[:index]:
            causes.duplicate(f"{path}[{index}]", name)


def constraint(given: Obj, path: str, causes: Causes) -> None:
    found = [name for name in ("matchAttribute", "distinctAttribute") if name in given]
    if not found:
        causes.required(path, "exactly one of matchAttribute or distinctAttribute is required")
    for name in found:
        causes.each_invalid(f"{path}.{name}", given[name], fully_qualified(given[name]))


def device_request(given: Obj, path: str, causes: Causes) -> None:
    """Devices of one sort, or the first of several that there is."""
    exactly, alternatives = given.get("exactly"), given.get("firstAvailable", ())
    if exactly is not None and alternatives:
        causes.invalid(path, given, "exactly one of `exactly` or `firstAvailable` must be specified")
    elif exactly is None and not alternatives:
        causes.required(path, "exactly one of `exactly` or `firstAvailable` is required")
    if exactly is not None:
        exact(exactly, f"{path}.exactly", causes)
    if len(alternatives) > ALTERNATIVES:
        causes.too_many(f"{path}.firstAvailable", len(alternatives), ALTERNATIVES)
    taken: set[str] = set()
    for index, alternative in enumerate(alternatives):
        at, name = f"{path}.firstAvailable[{index}]", alternative.get("name", "")
        causes.required_name(alternative, at, "name", names.dns_label)
        if name in taken:
            causes.duplicate(f"{at}.name", name)
        taken.add(name)
        exact(alternative, at, causes)


def exact(given: Obj, path: str, causes: Causes) -> None:
    causes.required_name(given, path, "deviceClassName", names.dns_subdomain)
    selectors(given, path, causes)
    mode, count = given.get("allocationMode", ""), given.get("count", 0)
    if mode == "All" and count:
        causes.invalid(f"{path}.count", count, "must not be specified when allocationMode is 'All'")
    elif mode == "ExactCount" and count <= 0:
        causes.invalid(f"{path}.count", count, "must be greater than zero")
    elif mode not in ("All", "ExactCount"):
        causes.unsupported(f"{path}.allocationMode", mode, ("All", "ExactCount"))
    listed = given.get("tolerations", ())
    if len(listed) > TOLERATIONS:
        causes.too_many(f"{path}.tolerations", len(listed), TOLERATIONS)
    tolerations([{key: value for key, value in each_given.items() if key != "effect"} | (
        {"effect": each_given["effect"]} if each_given.get("effect") not in (None, "None") else {})
        for each_given in listed], f"{path}.tolerations", causes)


def claim_status(obj: Obj, old: Obj, causes: Causes) -> None:
    """What a claim was given stays; who may use it comes and goes while it is given."""
    status, before = obj.get("status", {}), old.get("status", {})
    users = status.get("reservedFor", [])
    if users and "allocation" not in status:
        causes.forbidden("status.reservedFor", "may not be specified when `allocated` is not set")
    if len(users) > RESERVED:
        causes.too_many("status.reservedFor", len(users), RESERVED)
    for index, user in enumerate(users):
        causes.required_fields(user, f"status.reservedFor[{index}]", "resource", "name", "uid")
        if user.get("uid") in [each_user.get("uid") for each_user in users[:index]]:
            causes.duplicate(f"status.reservedFor[{index}].uid", user.get("uid"))
    if "allocation" in before and "allocation" in status and status["allocation"] != before["allocation"]:
        causes.invalid("status.allocation", status["allocation"], "field is immutable")
    known = set(request_names(obj.get("spec", {}).get("devices", {})))
    results = status.get("allocation", {}).get("devices", {}).get("results", ())
    for index, result in enumerate(results):
        path = f"status.allocation.devices.results[{index}]"
        if result.get("request", "") not in known:
            causes.invalid(f"{path}.request", result.get("request", ""), UNKNOWN_REQUEST)
        causes.required_name(result, path, "driver", driver)
        causes.required_name(result, path, "pool", pool)
        causes.required_name(result, path, "device", names.dns_label)


claim_update = fixed("spec")


def slice_place(obj: Obj, path: str, causes: Causes) -> None:
    """Where the devices of a slice are: on one node, on some, on all, or each on its own."""
    spec = obj.get("spec", {})
    found = [name for name in ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
             if name in spec and spec[name] not in ("", False)]
    if not found:
        causes.required("spec", "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is "
                        "required")
    elif len(found) > 1:
        causes.invalid("spec", spec, "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` "
                       "is required")
    causes.name(spec, "spec", "nodeName", names.dns_subdomain)
    if "nodeSelector" in spec:
        node_selector(spec["nodeSelector"], "spec.nodeSelector", causes)
        if len(spec["nodeSelector"].get("nodeSelectorTerms", ())) > 1:
            causes.invalid("spec.nodeSelector.nodeSelectorTerms", spec["nodeSelector"]["nodeSelectorTerms"],
                           "must have exactly one node selector term")


def described(given: Obj, path: str, causes: Causes) -> None:
    """The attributes and capacities of a device."""
    attributes, capacity = given.get("attributes", {}), given.get("capacity", {})
    if (many := len(attributes) + len(capacity)) > ATTRIBUTES:
        causes.too_many(path, many, ATTRIBUTES)
    for key, value in attributes.items():
        at = f"{path}.attributes[{key}]"
        causes.each_invalid(at, key, qualified(key))
        if len(value) != 1:
            causes.invalid(at, value, "exactly one value must be specified")
        if len(value.get("string", "")) > LONGEST_VALUE:
            causes.too_long(f"{at}.string", LONGEST_VALUE)
        if "version" in value:
            causes.each_invalid(f"{at}.version", value["version"], semantic_version(value["version"]))
    for key in capacity:
        causes.each_invalid(f"{path}.capacity[{key}]", key, qualified(key))


TAINT = (field("key", required, form(names.qualified_name)), field("value", form(names.label_value)),
         field("effect", required, one_of(*EFFECTS)))

resource_slice = declare(
    field("spec.driver", required, form(driver)),
    field("spec.pool.name", required, form(pool)), field("spec.pool.generation", non_negative),
    field("spec.pool.resourceSliceCount", at_least(1, "must be greater than zero")),
    judged(slice_place),
    each("spec.devices", field("name", required, form(names.dns_label)), judged(described),
         each("taints", *TAINT, most=TAINTS), most=DEVICES, unique="name"),
    each("spec.sharedCounters", field("name", required, form(names.dns_label)), field("counters", required),
         most=COUNTER_SETS, unique="name"))
resource_slice_update: UpdateRule = fixed("spec.driver", "spec.pool.name", "spec.nodeName")

taint_rule = declare(
    within("spec.deviceSelector", field("driver", form(driver)), field("pool", form(pool)),
           field("device", form(names.dns_label))),
    within("spec.taint", *TAINT))
