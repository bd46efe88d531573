"""Pods and pod templates: the whole spec, part after part, in the order in which Kubernetes looks at them.

What may change of a pod that exists is in `pod_changes`.
"""

from __future__ import annotations

from fractions import Fraction

from timonier.api import names, quantity
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.containers import Pod, containers, untrimmed
from timonier.api.validation.metadata import labels, template_metadata
from timonier.api.validation.pod_annotations import MIRROR, matching_fields, pod_annotations
from timonier.api.validation.resources import POD, requirements
from timonier.api.validation.scheduling import affinity, spreading, tolerations
from timonier.api.validation.security import pod_security
from timonier.api.validation.volumes import volumes
from timonier.api.validation.windows import host_processes, operating_system

INT32 = 2**31 - 1
RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION = ("PreemptLowerPriority", "Never")
NAMESERVERS, SEARCHES, SEARCH_LETTERS = 3, 32, 2048
LONGEST_HOSTNAME = 64
NOT_WITH_OWN_USERS = "when `pod.Spec.HostUsers` is false"


def pod(obj: Obj, causes: Causes) -> None:
    """A pod that is to be created."""
    pod_itself(obj, causes)
    spec = obj.get("spec", {})
    if spec.get("ephemeralContainers"):
        causes.forbidden("spec.ephemeralContainers", "cannot be set on create")
    if spec.get("schedulingGates") and spec.get("nodeName"):
        causes.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")
    matching_fields(obj.get("metadata", {}).get("annotations", {}), spec, "spec", causes)


def pod_itself(obj: Obj, causes: Causes) -> None:
    """What holds of a pod at all times."""
    spec, meta = obj.get("spec", {}), obj.get("metadata", {})
    if annotations := meta.get("annotations"):
        pod_annotations(annotations, spec, "metadata.annotations", causes)
        if MIRROR in annotations and not spec.get("nodeName"):
            causes.invalid(f"metadata.annotations[{MIRROR}]", annotations[MIRROR],
                           "must set spec.nodeName if mirror pod annotation is set")
    pod_spec(spec, "spec", causes, name=meta.get("name", ""), itself=True)
    if not spec.get("serviceAccountName"):
        for index, volume in enumerate(spec.get("volumes", ())):
            for place, part in enumerate(volume.get("projected", {}).get("sources", ())):
                if "serviceAccountToken" in part:
                    causes.forbidden(f"spec.volumes[{index}].projected.sources[{place}].serviceAccountToken",
                                     "must not be specified when serviceAccountName is not set")
    for sort in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(sort, ())):
            untrimmed(container, f"spec.{sort}[{index}]", causes)


def template(given: Obj, path: str, causes: Causes, claims: tuple[str, ...] = ()) -> None:
    """A pod template. `claims` are volumes that come with each pod, which its containers can mount."""
    meta, spec = given.get("metadata", {}), given.get("spec", {})
    template_metadata(meta, path, causes)
    annotations = meta.get("annotations", {})
    if annotations:
        pod_annotations(annotations, spec, f"{path}.annotations", causes)
    pod_spec(spec, f"{path}.spec", causes, claims=claims)
    matching_fields(annotations, spec, f"{path}.spec", causes)
    if spec.get("ephemeralContainers"):
        causes.forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def pod_spec(spec: Obj, path: str, causes: Causes, *, name: str = "", itself: bool = False,
             claims: tuple[str, ...] = ()) -> None:
    """The spec of a pod `itself`, of that name, or of a template."""
    mountable = volumes(spec.get("volumes", ()), name, f"{path}.volumes", causes) if "volumes" in spec else {}
    mountable |= {claim: {"name": claim, "persistentVolumeClaim": {}} for claim in claims}
    listed = spec.get("resourceClaims", ())
    resource_claims(listed, f"{path}.resourceClaims", causes)
    claimed = frozenset(claim["name"] for claim in listed if claim.get("name"))
    containers(Pod(spec, mountable, itself, claimed), path, causes)
    if "resources" in spec:
        pod_resources(spec, f"{path}.resources", causes)
    if spec.get("hostNetwork"):
        host_network(spec, path, causes, itself=itself)
    causes.one_of(spec, path, "restartPolicy", RESTART_POLICIES)
    causes.one_of(spec, path, "dnsPolicy", DNS_POLICIES)
    if "nodeSelector" in spec:
        labels(spec["nodeSelector"], f"{path}.nodeSelector", causes)
    pod_security(spec.get("securityContext", {}), spec, f"{path}.securityContext", causes)
    if "affinity" in spec:
        affinity(spec["affinity"], f"{path}.affinity", causes)
    dns(spec, path, causes)
    gates(spec, path, causes)
    if "topologySpreadConstraints" in spec:
        spreading(spec["topologySpreadConstraints"], f"{path}.topologySpreadConstraints", causes)
    host_processes(spec, path, causes)
    if spec.get("hostUsers") is False:
        own_users(spec, path, causes)
    identity(spec, path, causes)
    if "tolerations" in spec:
        tolerations(spec["tolerations"], f"{path}.tolerations", causes)
    if "hostAliases" in spec:
        host_aliases(spec["hostAliases"], f"{path}.hostAliases", causes)
    classes(spec, path, causes)
    if "os" in spec:
        operating_system(spec, path, causes)


def resource_claims(listed: list[Obj], path: str, causes: Causes) -> None:
    """Devices that the pod claims, by the claim's name or by a template for one."""
    taken: set[str] = set()
    for index, claim in enumerate(listed):
        at, name = f"{path}[{index}]", claim.get("name", "")
        if not name:
            causes.required(f"{at}.name")
        elif name in taken:
            causes.duplicate(f"{at}.name", name)
        else:
            causes.each_invalid(f"{at}.name", name, names.dns_label(name))
            taken.add(name)
        given = [field for field in ("resourceClaimName", "resourceClaimTemplateName") if field in claim]
        if len(given) > 1:
            causes.invalid(at, claim,
                           "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified")
        elif not given:
            causes.invalid(at, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
        for field in given:
            causes.each_invalid(f"{at}.{field}", claim[field], names.dns_subdomain(claim[field]))


def pod_resources(spec: Obj, path: str, causes: Causes) -> None:
    """What the pod has as a whole: no less than its containers ask for together (KEP-2837)."""
    given = spec["resources"]
    if "claims" in given:
        causes.forbidden(f"{path}.claims", "claims cannot be set for Resources at pod-level")
    requirements({key: value for key, value in given.items() if key != "claims"}, path, causes, supported=POD)
    for name in dict.fromkeys(name for container in spec.get("containers", ())
                              for name in container.get("resources", {}).get("requests", {})):
        together, whole = containers_request(spec, name), given.get("requests", {}).get(name, "0")
        if together > quantity.parse(whole):
            causes.invalid(f"{path}.requests[{name}]", whole, "must be greater than or equal to aggregate container "
                           f"requests of {quantity.render(together, like=whole)}")
    for index, container in enumerate(spec.get("containers", ())):
        for name, limit in container.get("resources", {}).get("limits", {}).items():
            most = given.get("limits", {}).get(name)
            if most is not None and quantity.parse(limit) > quantity.parse(most):
                causes.invalid(f"{path}.containers[{index}][{name}].limits", limit,
                               f"must be less than or equal to pod limits of {most}")


def containers_request(spec: Obj, name: str) -> Fraction:
    """What the containers of a pod request at most at once: all that run together, or a step of initialisation."""
    def asked(container: Obj) -> Fraction:
        return quantity.parse(container.get("resources", {}).get("requests", {}).get(name, "0"))

    sidecars, most = Fraction(0), Fraction(0)
    for container in spec.get("initContainers", ()):
        if container.get("restartPolicy") == "Always":
            sidecars += asked(container)
            most = max(most, sidecars)
        else:
            most = max(most, sidecars + asked(container))
    return max(most, sidecars + sum(map(asked, spec.get("containers", ())), Fraction(0)))


def host_network(spec: Obj, path: str, causes: Causes, *, itself: bool) -> None:
    """On its node's network a container's port is the node's; a template may leave that to be filled in."""
    for index, container in enumerate(spec.get("containers", ())):
        for place, port in enumerate(container.get("ports", ())):
            number = port.get("hostPort", 0)
            if (itself or number) and number != port.get("containerPort", 0):
                causes.invalid(f"{path}.containers[{index}].ports[{place}].hostPort", number,
                               "must match `containerPort` when `hostNetwork` is true")


def dns(spec: Obj, path: str, causes: Causes) -> None:
    config, at = spec.get("dnsConfig"), f"{path}.dnsConfig"
    if spec.get("dnsPolicy") == "None":
        if config is None:
            causes.required(at, "must provide `dnsConfig` when `dnsPolicy` is None")
        elif not config.get("nameservers"):
            causes.required(f"{at}.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
            return
    if config is None:
        return
    servers, searches = config.get("nameservers", ()), config.get("searches", ())
    if len(servers) > NAMESERVERS:
        causes.invalid(f"{at}.nameservers", servers, f"must not have more than {NAMESERVERS} nameservers")
    for index, server in enumerate(servers):
        causes.each_invalid(f"{at}.nameservers[{index}]", server, names.ip(server))
    if len(searches) > SEARCHES:
        causes.invalid(f"{at}.searches", searches, f"must not have more than {SEARCHES} search paths")
    if len(" ".join(searches)) > SEARCH_LETTERS:
        causes.invalid(f"{at}.searches", searches,
                       f"must not have more than {SEARCH_LETTERS} characters (including spaces) in the search list")
    for index, search in enumerate(searches):
        if search != ".":
            domain = search.removesuffix(".")
            causes.each_invalid(f"{at}.searches[{index}]", domain, names.dns_subdomain_with_underscore(domain))
    for index, option in enumerate(config.get("options", ())):
        if not option.get("name"):
            causes.required(f"{at}.options[{index}]", "must not be empty")


def gates(spec: Obj, path: str, causes: Causes) -> None:
    for index, gate in enumerate(spec.get("readinessGates", ())):
        kind = gate.get("conditionType", "")
        causes.each_invalid(f"{path}.readinessGates[{index}].conditionType", kind, names.qualified_name(kind))
    taken: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates", ())):
        at, name = f"{path}.schedulingGates[{index}]", gate.get("name", "")
        causes.each_invalid(at, name, names.qualified_name(name))
        if name in taken:
            causes.duplicate(at, name)
        taken.add(name)


def own_users(spec: Obj, path: str, causes: Causes) -> None:
    """A pod with users of its own shares no other namespace with its node."""
    for field, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
        if spec.get(field):
            causes.forbidden(f"{path}.{shown}", NOT_WITH_OWN_USERS)


def identity(spec: Obj, path: str, causes: Causes) -> None:
    """The names by which the pod is known, and whose it is."""
    causes.name(spec, path, "serviceAccountName", names.dns_subdomain)
    causes.name(spec, path, "nodeName", names.dns_subdomain)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None:
        causes.each_invalid(f"{path}.activeDeadlineSeconds", deadline, names.in_range(deadline, 1, INT32))
    causes.name(spec, path, "hostname", names.dns_label)
    causes.name(spec, path, "subdomain", names.dns_label)
    if (override := spec.get("hostnameOverride")) is not None:
        at = f"{path}.hostnameOverride"
        causes.each_invalid(at, override, names.dns_subdomain(override))
        if len(override) > LONGEST_HOSTNAME:
            causes.invalid(at, override, names.too_long(LONGEST_HOSTNAME))
        for field in ("setHostnameAsFQDN", "hostNetwork"):
            if spec.get(field):
                causes.forbidden(at, f"may not be specified when `{field}` is true")


def host_aliases(listed: list[Obj], path: str, causes: Causes) -> None:
    for index, alias in enumerate(listed):
        at, address = f"{path}[{index}]", alias.get("ip", "")
        causes.each_invalid(f"{at}.ip", address, names.ip(address))
        for place, hostname in enumerate(alias.get("hostnames", ())):
            causes.each_invalid(f"{at}.hostnames[{place}]", hostname, names.dns_subdomain(hostname))


def classes(spec: Obj, path: str, causes: Causes) -> None:
    causes.name(spec, path, "priorityClassName", names.dns_subdomain)
    if (runtime := spec.get("runtimeClassName")) is not None:
        causes.each_invalid(f"{path}.runtimeClassName", runtime, names.dns_subdomain(runtime))
    if "preemptionPolicy" in spec:
        causes.one_of(spec, path, "preemptionPolicy", PREEMPTION)
    if "overhead" in spec:
        requirements({"limits": spec["overhead"]}, f"{path}.overhead", causes)


def pod_template(obj: Obj, causes: Causes) -> None:
    template(obj.get("template", {}), "template", causes)


def binding(obj: Obj, causes: Causes) -> None:
    target = obj.get("target", {})
    if target.get("kind", "Node") not in ("", "Node"):
        causes.unsupported("target.kind", target["kind"], ("Node", "<empty>"))
    causes.required_fields(target, "target", "name")
