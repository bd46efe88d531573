"""Who is who in a cluster: the certificates of every part, and the kubeconfigs that carry them.

Each part has an identity of its own and none is cluster-admin, but for the person who started the cluster.
"""

from __future__ import annotations

from pathlib import Path

from timonier.cluster.certificates import Authority, Identity, Pair, encryption_key, signing_key
from timonier.cluster.spec import ClusterSpec, NodeSpec
from timonier.kit import kubeconfig

CONTROLLERS = Identity("system:kube-controller-manager")
SCHEDULER = Identity("system:kube-scheduler")
ADMINISTRATOR = Identity("kubernetes-admin", groups=("system:masters",))
KUBELET_CLIENT = Identity("kube-apiserver-kubelet-client")
FRONT_PROXY = Identity("front-proxy-client")
"""As which the API server calls other API servers for its clients; its CA vouches for nobody else."""


def make(spec: ClusterSpec) -> None:
    """Write every key, certificate and kubeconfig that the cluster's parts use; good ones are kept."""
    authority = Authority(spec.pki)
    signing_key(spec.pki / "sa.key")
    encryption_key(spec.pki / "secrets.key")
    authority.issue("apiserver", Identity("kube-apiserver", hosts=api_server_hosts(spec)))
    authority.issue("manager", Identity(CONTROLLERS.name, hosts=("localhost", "127.0.0.1", spec.gateway)))
    authority.issue("apiserver-kubelet-client", KUBELET_CLIENT)
    Authority(spec.pki / "front-proxy", "timonier-front-proxy-ca").issue("client", FRONT_PROXY)
    for file, identity in (("controllers", CONTROLLERS), ("scheduler", SCHEDULER), ("admin", ADMINISTRATOR)):
        write_kubeconfig(spec.state / f"{file}.kubeconfig", spec, authority.issue(file, identity), spec.server)
    for node in spec.all_nodes:
        make_node(spec, node, authority)


def make_node(spec: ClusterSpec, node: NodeSpec, authority: Authority) -> None:
    """A node's own identity, and the certificate of its kubelet's API."""
    folder = spec.node_state(node)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    client = authority.issue(f"{node.name}-client", Identity(f"system:node:{node.name}", groups=("system:nodes",)))
    write_kubeconfig(folder / "kubeconfig", spec, client, spec.inner_server)
    serving = authority.issue(f"{node.name}-kubelet", Identity(f"system:node:{node.name}",
                              groups=("system:nodes",), hosts=(node.name, node.address, "127.0.0.1")))
    for source, target in ((serving.certificate, folder / "kubelet.crt"), (serving.key, folder / "kubelet.key")):
        target.unlink(missing_ok=True)
        target.hardlink_to(source)


def api_server_hosts(spec: ClusterSpec) -> tuple[str, ...]:
    """Every name and address under which the API server is called, from the machine, from nodes and from pods."""
    inside = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{spec.domain}")
    return ("localhost", *inside, "127.0.0.1", spec.gateway, spec.service_gateway)


def client_config(spec: ClusterSpec, pair: Pair, server: str) -> kubeconfig.ClientConfig:
    return kubeconfig.ClientConfig(
        server=server, certificate_authority=(spec.pki / "ca.crt").read_bytes(),
        client_certificate=pair.certificate.read_bytes(), client_key=pair.key.read_bytes())


def write_kubeconfig(file: Path, spec: ClusterSpec, pair: Pair, server: str) -> None:
    kubeconfig.save(file, spec.name, client_config(spec, pair, server))


def administrator(spec: ClusterSpec) -> kubeconfig.ClientConfig:
    """The identity of the person who started the cluster, as kubectl and the start steps use it."""
    return client_config(spec, Pair(spec.pki / "admin.crt", spec.pki / "admin.key"), spec.server)
