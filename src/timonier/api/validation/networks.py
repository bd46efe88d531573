"""Ingresses and their classes, ranges of addresses, network policies."""

from __future__ import annotations

import ipaddress

from timonier.api import names
from timonier.api.validation.causes import IMMUTABLE, Causes, Obj
from timonier.api.validation.containers import PROTOCOLS
from timonier.api.validation.declared import declare, fixed, form, required, within
from timonier.api.validation.declared import field as row
from timonier.api.validation.metadata import label_selector, port_or_name
from timonier.api.validation.services import host_name

PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
FORBIDDEN_IN_PATH = ("//", "/./", "/../", "%2f", "%2F")
FORBIDDEN_AT_END = ("/..", "/.")
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
LONGEST_CONTROLLER = 250


def ingress(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    if not spec.get("rules") and "defaultBackend" not in spec:
        causes.invalid("spec", spec.get("rules", []), "either `defaultBackend` or `rules` must be specified")
    if "defaultBackend" in spec:
        backend(spec["defaultBackend"], "spec.defaultBackend", causes)
    for index, rule in enumerate(spec.get("rules", ())):
        path = f"spec.rules[{index}]"
        if rule.get("host"):
            host(rule["host"], f"{path}.host", causes)
        if "http" in rule:
            http_paths(rule["http"], f"{path}.http", causes)
    for index, tls in enumerate(spec.get("tls", ())):
        for place, name in enumerate(tls.get("hosts", ())):
            check = names.wildcard_dns_subdomain if "*" in name else names.dns_subdomain
            causes.each_invalid(f"spec.tls[{index}].hosts[{place}]", name, check(name))
        causes.name(tls, f"spec.tls[{index}]", "secretName", names.dns_subdomain)
    name = spec.get("ingressClassName")
    if name is not None:
        causes.each_invalid("spec.ingressClassName", name, names.dns_subdomain(name))


def ingress_create(obj: Obj, causes: Causes) -> None:
    """What held only before the class had a field: a new Ingress names its class once."""
    annotation = obj.get("metadata", {}).get("annotations", {}).get(CLASS_ANNOTATION)
    name = obj.get("spec", {}).get("ingressClassName")
    if annotation is not None and name is not None and annotation != name:
        causes.invalid("annotations.kubernetes.io/ingress.class", annotation,
                       "must match `ingressClassName` when both are specified")
    ingress(obj, causes)


def ingress_update(obj: Obj, old: Obj, causes: Causes) -> None:
    ingress(obj, causes)


def host(name: str, path: str, causes: Causes) -> None:
    if not names.ip(name):
        causes.invalid(path, name, "must be a DNS name, not an IP address")
        return
    check = names.wildcard_dns_subdomain if "*" in name else names.dns_subdomain
    causes.each_invalid(path, name, check(name))


def http_paths(given: Obj, path: str, causes: Causes) -> None:
    if not given.get("paths"):
        causes.required(f"{path}.paths")
    for index, rule in enumerate(given.get("paths", ())):
        http_path(rule, f"{path}.paths[{index}]", causes)


def http_path(rule: Obj, path: str, causes: Causes) -> None:
    kind, route = rule.get("pathType"), rule.get("path", "")
    if kind is None:
        causes.required(f"{path}.pathType", "pathType must be specified")
    elif kind not in PATH_TYPES:
        causes.unsupported(f"{path}.pathType", kind, PATH_TYPES)
    elif kind != "ImplementationSpecific":
        if not route.startswith("/"):
            causes.invalid(f"{path}.path", route, "must be an absolute path")
        if route:
            for part in FORBIDDEN_IN_PATH:
                if part in route:
                    causes.invalid(f"{path}.path", route, f"must not contain '{part}'")
            for part in FORBIDDEN_AT_END:
                if route.endswith(part):
                    causes.invalid(f"{path}.path", route, f"cannot end with '{part}'")
    elif route and not route.startswith("/"):
        causes.invalid(f"{path}.path", route, "must be an absolute path")
    backend(rule.get("backend", {}), f"{path}.backend", causes)


def backend(given: Obj, path: str, causes: Causes) -> None:
    service, resource = given.get("service"), given.get("resource")
    if service is not None and resource is not None:
        causes.invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        typed_reference(resource, f"{path}.resource", causes)
    elif service is None:
        causes.required(path, "resource or service backend is required")
    else:
        service_backend(service, f"{path}.service", causes)


def service_backend(service: Obj, path: str, causes: Causes) -> None:
    name, port = service.get("name", ""), service.get("port", {})
    if not name:
        causes.required(f"{path}.name")
    else:
        causes.each_invalid(f"{path}.name", name, names.dns1035(name))
    if port.get("name") and port.get("number"):
        causes.invalid(path, "", "cannot set both port name & port number")
    elif port.get("name") or port.get("number"):
        field = "name" if port.get("name") else "number"
        port_or_name(port[field], f"{path}.port.{field}", causes)
    else:
        causes.required(path, "port name or number is required")


def typed_reference(given: Obj, path: str, causes: Causes) -> None:
    """Something in the same namespace, by group, kind and name."""
    if group := given.get("apiGroup"):
        causes.each_invalid(f"{path}.apiGroup", group, names.dns_subdomain(group))
    for field in ("kind", "name"):
        value = given.get(field, "")
        if not value:
            causes.required(f"{path}.{field}", f"{field} is required")
        else:
            causes.each_invalid(f"{path}.{field}", value, names.path_segment(value))


def ingress_status(obj: Obj, old: Obj, causes: Causes) -> None:
    for index, each in enumerate(obj.get("status", {}).get("loadBalancer", {}).get("ingress", ())):
        path = f"status.loadBalancer.ingress[{index}]"
        causes.name(each, path, "ip", names.ip)
        host_name(each, path, causes)


def ingress_class(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    controller, parameters, path = spec.get("controller", ""), spec.get("parameters"), "spec.parameters"
    if len(controller) > LONGEST_CONTROLLER:
        causes.too_long("spec.controller", LONGEST_CONTROLLER)
    if not controller:
        causes.required("spec.controller")
    else:
        causes.each_invalid("spec.controller", controller, names.domain_prefixed(controller))
    if parameters is None:
        return
    typed_reference(parameters, path, causes)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        causes.required(f"{path}.scope")
    elif scope not in ("Cluster", "Namespace"):
        causes.unsupported(f"{path}.scope", scope, ("Cluster", "Namespace"))
    if namespace == "" or (scope == "Namespace" and namespace is None):
        causes.required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'" if namespace is None else "")
    elif namespace is not None and scope == "Cluster":
        causes.forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'")
    elif namespace is not None:
        causes.each_invalid(f"{path}.namespace", namespace, names.dns_label(namespace))


ingress_class_update = fixed("spec.controller")


def address_name(value: str) -> names.Wrong:
    """Names of IPAddresses: the address itself, in the one way in which it is written."""
    try:
        return () if str(ipaddress.ip_address(value)) == value else ("must be a canonical form IP address",)
    except ValueError:
        return (f'ParseAddr("{value}"): unable to parse IP',)


ip_address = declare(
    row("spec.parentRef", required), within(
        "spec.parentRef", row("group", form(names.dns_subdomain)), row("resource", required, form(names.path_segment)),
        row("name", required, form(names.path_segment)), row("namespace", form(names.path_segment))))
ip_address_update = fixed("spec.parentRef")


def service_cidr(obj: Obj, causes: Causes) -> None:
    ranges, path = obj.get("spec", {}).get("cidrs", []), "spec.cidrs"
    if not ranges:
        causes.required(path, "at least one CIDR required")
        return
    if len(ranges) > 2:
        causes.invalid(path, ranges, "may only hold up to 2 values")
    wrong = False
    for index, network in enumerate(ranges):
        at, faults = f"{path}[{index}]", names.cidr(network)
        causes.each_invalid(at, network, faults)
        wrong = wrong or bool(faults)
        if not faults and (canonical := str(ipaddress.ip_network(network, strict=False))) != network:
            causes.invalid(at, network, f'must be in canonical form ("{canonical}")')
    if len(ranges) == 2 and not wrong and len({ipaddress.ip_network(each, strict=False).version
                                               for each in ranges}) == 1:
        causes.invalid(path, ranges,
                       "may specify no more than one IP for each IP family, i.e [192.168.0.0/24, 2001:db8::/64]")


def service_cidr_update(obj: Obj, old: Obj, causes: Causes) -> None:
    """A second family may come and go; the first range stays."""
    now, then = (each.get("spec", {}).get("cidrs", []) for each in (obj, old))
    if len(now) == len(then):
        causes.immutable(obj.get("spec", {}), old.get("spec", {}), "spec", "cidrs")
    elif now and then and now[0] != then[0]:
        causes.invalid("spec.cidrs[0]", now[0], IMMUTABLE)


def network_policy(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    label_selector(spec.get("podSelector", {}), "spec.podSelector", causes)
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction, ())):
            path = f"spec.{direction}[{index}]"
            for place, port in enumerate(rule.get("ports", ())):
                policy_port(port, f"{path}.ports[{place}]", causes)
            for place, peer in enumerate(rule.get(peers, ())):
                policy_peer(peer, f"{path}.{peers}[{place}]", causes)
    types = spec.get("policyTypes", ())
    if len(types) > 2:
        causes.invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for index, kind in enumerate(types):
        if kind not in ("Ingress", "Egress"):
            causes.unsupported(f"spec.policyTypes[{index}]", kind, ("Egress", "Ingress"))


def policy_port(port: Obj, path: str, causes: Causes) -> None:
    if port.get("protocol") is not None and port["protocol"] not in PROTOCOLS:
        causes.unsupported(f"{path}.protocol", port["protocol"], PROTOCOLS)
    number, last = port.get("port"), port.get("endPort")
    if number is not None:
        port_or_name(number, f"{path}.port", causes)
    if last is not None:
        if isinstance(number, str):
            causes.invalid(f"{path}.endPort", last, "may not be specified when `port` is non-numeric")
        elif number is None:
            causes.required(f"{path}.port", "must be specified when `endPort` is specified")
        elif last < number:
            causes.invalid(f"{path}.endPort", last, "must be greater than or equal to `port`")
        causes.each_invalid(f"{path}.endPort", last, names.port_number(last))


def policy_peer(peer: Obj, path: str, causes: Causes) -> None:
    for field in ("podSelector", "namespaceSelector"):
        if field in peer:
            label_selector(peer[field], f"{path}.{field}", causes)
    if "ipBlock" in peer:
        ip_block(peer["ipBlock"], f"{path}.ipBlock", causes)
        if len(peer) > 1:
            causes.forbidden(path, "may not specify both ipBlock and another peer")
    elif not peer:
        causes.required(path, "must specify a peer")


def ip_block(block: Obj, path: str, causes: Causes) -> None:
    network = block.get("cidr", "")
    if not network:
        causes.required(f"{path}.cidr")
        return
    if wrong := names.cidr(network):
        causes.each_invalid(f"{path}.cidr", network, wrong)
        return
    whole = ipaddress.ip_network(network, strict=False)
    for index, part in enumerate(block.get("except", ())):
        at = f"{path}.except[{index}]"
        if wrong := names.cidr(part):
            causes.each_invalid(at, part, wrong)
            continue
        inner = ipaddress.ip_network(part, strict=False)
        if inner.version != whole.version or inner == whole or not inner.subnet_of(whole):  # type: ignore[arg-type]
            causes.invalid(at, part, "must be a strict subset of `cidr`")
