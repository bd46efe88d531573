"""A pod's names: its hostname, /etc/hosts, and /etc/resolv.conf. Pure, given the node's own resolver configuration.

Source: Kubernetes documentation, "DNS for Services and Pods".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from timonier.api.types import core_v1
from timonier.node.cri.contract import DnsConfig

MAX_SERVERS, MAX_SEARCHES, MAX_SEARCH_CHARACTERS = 3, 32, 2048
MAX_HOSTNAME = 63
HEADER = "# Kubernetes-managed hosts file.\n"
HOST_HEADER = "# Kubernetes-managed hosts file (host network).\n"
LOCAL = ("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"
         "fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")


@dataclass(frozen=True, slots=True)
class ClusterDns:
    server: str
    domain: str


def parse(text: str) -> DnsConfig:
    """A resolv.conf file. The last `search` line counts, all `nameserver` and `options` lines do."""
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if words[:1] == ["nameserver"]:
            servers += words[1:2]
        elif words[:1] in (["search"], ["domain"]):
            searches = [word.rstrip(".") or "." for word in words[1:]]
        elif words[:1] == ["options"]:
            options += words[1:]
    return DnsConfig(tuple(servers), tuple(searches), tuple(options))


def dns_config(pod: core_v1.Pod, cluster: ClusterDns, node: DnsConfig) -> DnsConfig:
    """Servers, search paths and options for a pod, by its dnsPolicy and dnsConfig."""
    policy = pod.spec.dnsPolicy or "ClusterFirst"
    if (policy == "ClusterFirst" and pod.spec.hostNetwork) or (not cluster.server and policy != "None"):
        policy = "Default"
    namespace, domain = pod.metadata.namespace, cluster.domain
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet"):
        own = (f"{namespace}.svc.{domain}", f"svc.{domain}", domain)
        base = DnsConfig((cluster.server,), (*own, *node.searches), ("ndots:5",))
    else:
        base = node if policy == "Default" else DnsConfig()
    extra = pod.spec.dnsConfig or core_v1.PodDNSConfig()
    return DnsConfig(unique((*base.servers, *extra.nameservers))[:MAX_SERVERS],
                     fitting(unique((*base.searches, *extra.searches))),
                     merge_options(base.options, extra.options))


def merge_options(base: Iterable[str], extra: Iterable[core_v1.PodDNSConfigOption]) -> tuple[str, ...]:
    """The options, those of the pod in place of others of the same name."""
    merged = {option.partition(":")[0]: option for option in base}
    merged |= {option.name: f"{option.name}:{option.value}" if option.value else option.name for option in extra}
    return tuple(merged.values())


def unique(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))


def fitting(searches: tuple[str, ...]) -> tuple[str, ...]:
    """As many search paths as resolvers accept."""
    kept: list[str] = []
    for search in searches[:MAX_SEARCHES]:
        if len(" ".join([*kept, search])) > MAX_SEARCH_CHARACTERS:
            break
        kept.append(search)
    return tuple(kept)


def hostname(pod: core_v1.Pod, domain: str) -> tuple[str, str]:
    """The pod's hostname and its DNS domain below the cluster's; the latter only for pods with a subdomain."""
    if pod.spec.hostnameOverride:
        return pod.spec.hostnameOverride, ""
    name = pod.spec.hostname or pod.metadata.name[:MAX_HOSTNAME].rstrip("-.")
    subdomain = f"{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{domain}" if pod.spec.subdomain else ""
    return name, subdomain


def kernel_hostname(pod: core_v1.Pod, domain: str) -> str:
    """What `hostname` prints in the pod; the full name where it was asked for. Empty on the node's network."""
    if pod.spec.hostNetwork:
        return ""
    name, subdomain = hostname(pod, domain)
    return f"{name}.{subdomain}" if pod.spec.setHostnameAsFQDN and subdomain else name


def hosts_file(pod: core_v1.Pod, ips: Iterable[str], domain: str, of_node: str) -> str:
    """The pod's /etc/hosts; on the node's network it is the node's, with the pod's aliases below."""
    if pod.spec.hostNetwork:
        text = HOST_HEADER + of_node
    else:
        name, subdomain = hostname(pod, domain)
        called = f"{name}.{subdomain}\t{name}" if subdomain else name
        text = HEADER + LOCAL + "".join(f"{ip}\t{called}\n" for ip in ips)
    if pod.spec.hostAliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join(f"{alias.ip}\t" + "\t".join(alias.hostnames) + "\n" for alias in pod.spec.hostAliases)
    return text
