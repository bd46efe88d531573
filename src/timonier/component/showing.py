"""Serves what a process shows for as long as a block runs, if its settings name an address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from timonier.client.client import Client
from timonier.component.settings import ServingSettings
from timonier.component.shown import Shown


@asynccontextmanager
async def showing(settings: ServingSettings, shown: Shown, client: Client) -> AsyncIterator[None]:
    """Serve around a block; `client` asks the API server who may see. Raises CannotRun where it cannot listen."""
    certificate, key, authorities = settings.tls_cert_file, settings.tls_private_key_file, settings.client_ca_file
    if not settings.bind_address or certificate is None or key is None or authorities is None:
        yield
        return
    from timonier.component.api import ComponentApi, Guard
    from timonier.kit.serve import listen, serve
    from timonier.kit.tls import server_context

    def guard() -> Guard:
        from timonier.component.guard import delegated

        return delegated(client, authorities)

    ssl = server_context(certificate, key, authorities)
    with listen(settings.bind_address, settings.secure_port) as listening:
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(serve(ComponentApi(shown, guard), [listening], ssl), name="endpoint")
            try:
                yield
            finally:
                serving.cancel()
