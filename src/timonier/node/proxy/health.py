"""healthCheckNodePort: tells a load balancer whether this node has endpoints of a Service that only answers locally.

Answers every request on the port with 200 and the number of local endpoints, or 503 where there are none. One small
HTTP/1.1 answer a connection; anything more belongs to an HTTP server.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from timonier.api.types import core_v1, discovery_v1
from timonier.node.proxy.rules import LOCAL, NodeFacts, candidates_of, is_proxied

log = logging.getLogger(__name__)

REQUEST_TIMEOUT = 10.0
LONGEST_REQUEST = 8192


@dataclass(frozen=True, slots=True)
class Health:
    """What is answered on one port."""

    namespace: str
    name: str
    local_endpoints: int

    def response(self) -> bytes:
        body = json.dumps({
            "service": {"namespace": self.namespace, "name": self.name},
            "localEndpoints": self.local_endpoints,
            "serviceProxyHealthy": True,
        }).encode()
        status = "200 OK" if self.local_endpoints else "503 Service Unavailable"
        return (f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
                f"X-Load-Balancing-Endpoint-Weight: {self.local_endpoints}\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode() + body


def health_of(service: core_v1.Service, slices: Iterable[discovery_v1.EndpointSlice],
              facts: NodeFacts) -> tuple[int, Health] | None:
    """Port and answer of a Service that has a health check port; None for all others."""
    spec = service.spec
    if not spec.healthCheckNodePort or spec.externalTrafficPolicy != LOCAL or not is_proxied(service):
        return None
    pieces = list(slices)
    local = {endpoint.address for port in spec.ports for endpoint, it in candidates_of(port, pieces).ready.items()
             if it.nodeName == facts.name}
    return spec.healthCheckNodePort, Health(service.metadata.namespace, service.metadata.name, len(local))


class HealthServers:
    """One listener a health check port, opened and closed as Services come and go."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._answers: dict[int, Health] = {}
        self._servers: dict[int, asyncio.Server] = {}

    async def show(self, answers: Mapping[int, Health]) -> None:
        """Answer on exactly these ports. A port that is taken is reported and tried again on the next call."""
        for port in self._servers.keys() - answers.keys():
            self._servers.pop(port).close()
        self._answers = dict(answers)
        for port in answers.keys() - self._servers.keys():
            try:
                self._servers[port] = await asyncio.start_server(
                    lambda reader, writer, port=port: self._answer(port, reader, writer),  # type: ignore[misc]
                    self._address, port, limit=LONGEST_REQUEST)
            except OSError as error:
                log.warning("cannot answer health checks", extra={"port": port, "error": str(error)})

    async def close(self) -> None:
        await self.show({})

    async def _answer(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                await reader.readuntil(b"\r\n\r\n")
                if answer := self._answers.get(port):
                    writer.write(answer.response())
                    await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("health check not answered", extra={"port": port, "error": str(error)})
        finally:
            writer.close()
