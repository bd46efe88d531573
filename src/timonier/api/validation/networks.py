"""Ingresses and network policies."""

from __future__ import annotations

import ipaddress

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.containers import PROTOCOLS
from timonier.api.validation.metadata import label_selector, port_or_name

PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
FORBIDDEN_IN_PATH = ("//", "/./", "/../", "%2f", "%2F")
FORBIDDEN_AT_END = ("/..", "/.")


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
            host(name, f"spec.tls[{index}].hosts[{place}]", causes)
    name = spec.get("ingressClassName")
    if name is not None:
        causes.each_invalid("spec.ingressClassName", name, names.dns_subdomain(name))


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
        at, kind, route = f"{path}.paths[{index}]", rule.get("pathType"), rule.get("path", "")
        if not kind:
            causes.required(f"{at}.pathType", "pathType must be specified")
        elif kind not in PATH_TYPES:
            causes.unsupported(f"{at}.pathType", kind, PATH_TYPES)
        elif kind != "ImplementationSpecific":
            if not route.startswith("/"):
                causes.invalid(f"{at}.path", route, "must be an absolute path")
            for part in (each for each in FORBIDDEN_IN_PATH if each in route):
                causes.invalid(f"{at}.path", route, f"must not contain '{part}'")
            for part in (each for each in FORBIDDEN_AT_END if route.endswith(each)):
                causes.invalid(f"{at}.path", route, f"cannot end with '{part}'")
        elif route and not route.startswith("/"):
            causes.invalid(f"{at}.path", route, "must be an absolute path")
        backend(rule.get("backend", {}), f"{at}.backend", causes)


def backend(given: Obj, path: str, causes: Causes) -> None:
    service = given.get("service")
    if service is not None and "resource" in given:
        causes.invalid(path, "", "cannot set both resource and service backends")
    elif service is None and "resource" not in given:
        causes.required(path, "resource or service backend is required")
    elif service is not None:
        name, port = service.get("name", ""), service.get("port", {})
        if not name:
            causes.required(f"{path}.service.name")
        else:
            causes.each_invalid(f"{path}.service.name", name, names.dns1035(name))
        if port.get("name") and port.get("number"):
            causes.invalid(f"{path}.service.port", "", "cannot set both port name & port number")
        elif port.get("name") or port.get("number"):
            field = "name" if port.get("name") else "number"
            port_or_name(port[field], f"{path}.service.port.{field}", causes)
        else:
            causes.required(f"{path}.service", "port name or number is required")


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
