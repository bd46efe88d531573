"""Serves the kubelet's API until it is cancelled."""

from __future__ import annotations

import asyncio

from timonier.client.client import Client
from timonier.component.authenticate import Authenticator
from timonier.component.reviews import access_review, token_review
from timonier.kit.fatal import CannotRun
from timonier.kit.serve import listen, serve
from timonier.kit.tls import server_context
from timonier.kit.trust import Authorities
from timonier.node.kubelet.server.app import KubeletApi
from timonier.node.kubelet.server.authorise import Authoriser
from timonier.node.kubelet.server.host import Host
from timonier.node.settings import NodeSettings


async def serve_kubelet_api(settings: NodeSettings, host: Host, client: Client, *,
                            started: asyncio.Event | None = None) -> None:
    """Listen as the settings say, with the node's serving certificate; `client` reviews tokens and accesses.

    Raises CannotRun where a certificate, key or CA is not there, and where the port is taken.
    """
    if settings.tls_cert_file is None or settings.tls_key_file is None or settings.client_ca_file is None:
        raise CannotRun("the kubelet's API needs --tls-cert-file, --tls-key-file and --client-ca-file")
    ssl = server_context(settings.tls_cert_file, settings.tls_key_file, settings.client_ca_file)
    authenticator = Authenticator(token_review(client), authorities=Authorities.from_file(settings.client_ca_file))
    api = KubeletApi(host, authenticator, Authoriser(host.node_name, access_review(client)))
    try:
        await serve(api, [listen(settings.kubelet_address, settings.kubelet_port)], ssl, started=started)
    finally:
        await api.streams.connections.close()
