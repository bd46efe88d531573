"""A pod's hostname, hosts file and resolver configuration."""

from __future__ import annotations

from typing import Any

import pytest
from support.kubelet_bench import make_pod

from timonier.node.cri.contract import DnsConfig
from timonier.node.kubelet import resolver

CLUSTER = resolver.ClusterDns("10.96.0.10", "cluster.local")
NODE = DnsConfig(("1.1.1.1",), ("example.com",), ("edns0",))
OWN = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.com")


@pytest.mark.parametrize(("spec", "expected"), [
    pytest.param({}, DnsConfig(("10.96.0.10",), OWN, ("ndots:5",)), id="cluster-first"),
    pytest.param({"dnsPolicy": "Default"}, NODE, id="default-is-the-nodes"),
    pytest.param({"hostNetwork": True}, NODE, id="host-network-takes-the-nodes"),
    pytest.param({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
                 DnsConfig(("10.96.0.10",), OWN, ("ndots:5",)), id="host-network-that-wants-the-clusters"),
    pytest.param({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["9.9.9.9"], "searches": ["a"]}},
                 DnsConfig(("9.9.9.9",), ("a",), ()), id="none-is-what-the-pod-says"),
    pytest.param({"dnsConfig": {"options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}]}},
                 DnsConfig(("10.96.0.10",), OWN, ("ndots:2", "rotate")), id="options-replace-those-of-the-same-name"),
])
def test_dns_policy(spec: dict[str, Any], expected: DnsConfig) -> None:
    assert resolver.dns_config(make_pod("web", **spec), CLUSTER, NODE) == expected


def test_resolv_conf_is_read_with_its_comments_and_repetitions() -> None:
    text = "# c\nnameserver 1.1.1.1\nnameserver 8.8.8.8 # x\nsearch a\nsearch b. c\noptions ndots:1 edns0\n; end\n"
    assert resolver.parse(text) == DnsConfig(("1.1.1.1", "8.8.8.8"), ("b", "c"), ("ndots:1", "edns0"))


def test_hostname_comes_from_the_pod_and_is_cut_to_size() -> None:
    assert resolver.kernel_hostname(make_pod("web"), "cluster.local") == "web"
    assert resolver.kernel_hostname(make_pod("w" * 62 + "-x"), "cluster.local") == "w" * 62
    assert resolver.kernel_hostname(make_pod("web", hostname="own"), "cluster.local") == "own"
    full = make_pod("web", hostname="own", subdomain="sub", setHostnameAsFQDN=True)
    assert resolver.kernel_hostname(full, "cluster.local") == "own.sub.default.svc.cluster.local"
    assert resolver.kernel_hostname(make_pod("web", hostNetwork=True), "cluster.local") == ""


def test_hosts_file_names_the_pod_and_its_aliases() -> None:
    pod = make_pod("web", hostname="own", subdomain="sub",
                   hostAliases=[{"ip": "10.9.9.9", "hostnames": ["x.example", "x"]}])
    lines = resolver.hosts_file(pod, ["10.1.1.1"], "cluster.local", "").splitlines()
    assert "10.1.1.1\town.sub.default.svc.cluster.local\town" in lines
    assert lines[-1] == "10.9.9.9\tx.example\tx"


def test_pod_on_the_nodes_network_has_the_nodes_hosts() -> None:
    text = resolver.hosts_file(make_pod("web", hostNetwork=True), ["10.0.0.1"], "cluster.local", "127.0.0.1 here\n")
    assert text.endswith("127.0.0.1 here\n")
