"""Webhooks that take part in admission: whom they are called for, where they are, how their silence is taken."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.expressions import match_conditions
from timonier.api.validation.metadata import label_selector

FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
SIDE_EFFECTS = ("None", "NoneOnDryRun")
REINVOCATION = ("IfNeeded", "Never")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
REVIEW_VERSIONS = ("v1", "v1beta1")
SCOPES = ("*", "Cluster", "Namespaced")
LONGEST_TIMEOUT = 30
DESIRED = "; desired format: https://host[/path]"


def webhooks(obj: Obj, causes: Causes) -> None:
    taken: set[str] = set()
    for index, hook in enumerate(obj.get("webhooks", ())):
        path, name = f"webhooks[{index}]", hook.get("name", "")
        webhook(hook, path, causes)
        review_versions(hook.get("admissionReviewVersions", []), f"{path}.admissionReviewVersions", causes)
        if name in taken:
            causes.duplicate(f"{path}.name", name)
        taken.add(name)


def webhook(hook: Obj, path: str, causes: Causes) -> None:
    qualified(hook.get("name", ""), f"{path}.name", causes)
    for place, rule in enumerate(hook.get("rules", ())):
        rule_with_operations(rule, f"{path}.rules[{place}]", causes)
    for field, values in (("failurePolicy", FAILURE_POLICIES), ("matchPolicy", MATCH_POLICIES)):
        causes.optional(hook, path, field, values)
    if hook.get("sideEffects") is None:
        causes.required(f"{path}.sideEffects", f"must specify one of {', '.join(SIDE_EFFECTS)}")
    causes.optional(hook, path, "sideEffects", SIDE_EFFECTS)
    seconds = hook.get("timeoutSeconds", 10)
    if not 1 <= seconds <= LONGEST_TIMEOUT:
        causes.invalid(f"{path}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")
    for field in ("namespaceSelector", "objectSelector"):
        label_selector(hook.get(field, {}), f"{path}.{field}", causes)
    client_config(hook.get("clientConfig", {}), f"{path}.clientConfig", causes)
    causes.optional(hook, path, "reinvocationPolicy", REINVOCATION)
    if conditions := hook.get("matchConditions"):
        from timonier.api.validation.compiled import of_webhook  # and with it the language, which others do without

        match_conditions(conditions, f"{path}.matchConditions", causes)
        of_webhook(hook, path, causes)


def qualified(name: str, path: str, causes: Causes) -> None:
    if not name:
        causes.required(path)
    elif wrong := names.dns_subdomain(name):
        causes.invalid(path, name, ",".join(wrong))
    elif name.count(".") < 2:
        causes.invalid(path, name, "should be a domain with at least three segments separated by dots")


def review_versions(given: Sequence[str], path: str, causes: Causes) -> None:
    """In which versions a hook can be asked; one of them must be ours."""
    if not given:
        causes.required(path, f"must specify one of {', '.join(REVIEW_VERSIONS)}")
        return
    for index, version in enumerate(given):
        if version in given[:index]:
            causes.invalid(f"{path}[{index}]", version, "duplicate version")
        elif wrong := names.dns1035(version):
            causes.invalid(f"{path}[{index}]", version, ",".join(wrong))
    if not set(given) & set(REVIEW_VERSIONS):
        causes.invalid(path, given, f"must include at least one of {', '.join(REVIEW_VERSIONS)}")


def rule_with_operations(given: Obj, path: str, causes: Causes) -> None:
    """What a hook or a policy is about: operations on resources."""
    some(given, "operations", "operations", path, causes)
    for index, operation in enumerate(given.get("operations", ())):
        if operation not in OPERATIONS:
            causes.unsupported(f"{path}.operations[{index}]", operation, OPERATIONS)
    some(given, "apiGroups", "API groups", path, causes)
    some(given, "apiVersions", "API versions", path, causes)
    for index, version in enumerate(given.get("apiVersions", ())):
        if not version:
            causes.required(f"{path}.apiVersions[{index}]")
    resources(given.get("resources", ()), f"{path}.resources", causes)
    causes.optional(given, path, "scope", SCOPES)


def some(given: Obj, field: str, others: str, path: str, causes: Causes) -> None:
    """A list that is not empty, and in which `*` stands alone."""
    values = given.get(field, ())
    if not values:
        causes.required(f"{path}.{field}")
    elif "*" in values and len(values) > 1:
        causes.invalid(f"{path}.{field}", values, f"if '*' is present, must not specify other {others}")


def resources(given: Sequence[str], path: str, causes: Causes) -> None:
    """Resources and subresources: `pods`, `pods/status`, `*/scale`. None says what another says already."""
    if not given:
        causes.required(path)
    of_resource, of_subresource, plain = set[str](), set[str](), False
    for index, resource in enumerate(given):
        if not resource:
            causes.required(f"{path}[{index}]")
        name, slash, below = resource.partition("/")
        if not slash:
            plain = plain or resource != "*"
            continue
        if name in of_resource:
            causes.invalid(f"{path}[{index}]", resource, f"if '{name}/*' is present, must not specify {resource}")
        if below in of_subresource:
            causes.invalid(f"{path}[{index}]", resource, f"if '*/{below}' is present, must not specify {resource}")
        if below == "*":
            of_resource.add(name)
        if name == "*":
            of_subresource.add(below)
    if len(given) > 1 and "*/*" in given:
        causes.invalid(path, given, "if '*/*' is present, must not specify other resources")
    if "*" in given and plain:
        causes.invalid(path, given, "if '*' is present, must not specify other resources without subresources")


def client_config(config: Obj, path: str, causes: Causes) -> None:
    url, service = config.get("url"), config.get("service")
    if (url is None) is (service is None):
        causes.required(path, "exactly one of url or service is required")
    elif url is not None:
        address(url, f"{path}.url", causes)
    elif service is not None:
        service_reference(service, f"{path}.service", causes)


def address(url: str, path: str, causes: Causes) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        causes.required(path, f"url parse error: {error}{DESIRED}")
        return
    if parts.scheme != "https":
        causes.invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{DESIRED}")
    user, at, host = parts.netloc.rpartition("@")
    if not host:
        causes.invalid(path, host, f"host must be specified{DESIRED}")
    for value, present, what in ((user, at, "user information is"), (parts.fragment, parts.fragment, "fragments are"),
                                 (parts.query, parts.query, "query parameters are")):
        if present:
            causes.invalid(path, value, f"{what} not permitted in the URL")


def service_reference(service: Obj, path: str, causes: Causes) -> None:
    for field in ("name", "namespace"):
        if not service.get(field):
            causes.required(f"{path}.{field}", f"service {field} is required")
    if wrong := names.port_number(service.get("port", 443)):
        causes.invalid(f"{path}.port", service["port"], f"port is not valid: {','.join(wrong)}")
    if (route := service.get("path")) is not None:
        url_path(route, f"{path}.path", causes)


def url_path(route: str, path: str, causes: Causes) -> None:
    if route in ("", "/"):
        return
    if not route.startswith("/"):
        causes.invalid(path, route, "must start with a '/'")
    segments = route[1:].split("/")
    if segments[-1] == "" and len(segments) > 1:
        segments.pop()
    for index, segment in enumerate(segments):
        if not segment:
            causes.invalid(path, route, f"segment[{index}] may not be empty")
        else:
            for text in names.dns_subdomain(segment):
                causes.invalid(path, route, f"segment[{index}]: {text}")
