"""One attempt of a probe or of a lifecycle hook: run a command, ask over HTTP, connect, or ask over gRPC.

How often, and what a result means, is not decided here. Messages are those that the kubelet's users know.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

import grpc
import grpc.aio

from timonier.api.types import core_v1
from timonier.kit.clock import Seconds
from timonier.kit.http import ConnectionFailed, Connections, HttpError, Response, TimedOut
from timonier.node.cri.contract import Runtime, RuntimeFailure

MAX_OUTPUT = 10 * 1024
MAX_REDIRECTS = 10
REDIRECTS = (301, 302, 303, 307, 308)
USER_AGENT = "kube-probe/1.37"
SERVING = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether it succeeded, and what was seen. `broken`: it could not be tried at all, which says nothing."""

    success: bool
    output: str = ""
    broken: bool = False
    exited: str = ""
    """How a command ended that failed."""


class BadPort(ValueError):
    """A named port that the container does not have."""


class Network(Protocol):
    """How probes reach a pod; a simulated node answers for its pods itself."""

    async def http(self, url: str, headers: Mapping[str, str], limit: Seconds) -> Outcome: ...

    async def tcp(self, host: str, port: int, limit: Seconds) -> Outcome: ...

    async def grpc(self, host: str, port: int, service: str, limit: Seconds) -> Outcome: ...


def port_number(container: core_v1.Container, port: int | str) -> int:
    """The number of a port that may be named. Raises BadPort."""
    if isinstance(port, str) and not port.isdigit():
        found = next((one.containerPort for one in container.ports if one.name == port), None)
        if found is None:
            raise BadPort(f"couldn't find port: {port!r}")
        return found
    number = int(port)
    if not 0 < number < 65536:
        raise BadPort(f"invalid port number: {number}")
    return number


def http_url(container: core_v1.Container, action: core_v1.HTTPGetAction, pod_ip: str) -> tuple[str, dict[str, str]]:
    """Where to ask, and with which headers. Raises BadPort."""
    scheme = (action.scheme or "HTTP").lower()
    host, port = action.host or pod_ip, port_number(container, action.port)
    shown = f"[{host}]" if ":" in host else host
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    for header in action.httpHeaders:
        known = next((name for name in headers if name.lower() == header.name.lower()), header.name)
        headers[known] = header.value
    return f"{scheme}://{shown}:{port}{path}", headers


async def execute(runtime: Runtime, container_id: str, command: list[str], limit: Seconds) -> Outcome:
    try:
        result = await runtime.exec_sync(container_id, command, limit)
    except RuntimeFailure as error:
        if error.code == "DEADLINE_EXCEEDED":
            return Outcome(False, f'command timed out: "{" ".join(command)}" timed out after {limit:g}s')
        return Outcome(False, str(error), broken=True)
    output = (result.stdout + result.stderr)[:MAX_OUTPUT].decode(errors="replace")
    complaint = result.stderr[:MAX_OUTPUT].decode(errors="replace")
    return Outcome(result.exit_code == 0, output,
                   exited=f"command '{' '.join(command)}' exited with {result.exit_code}: {complaint}")


def unverified() -> ssl.SSLContext:
    """TLS as probes have it: encrypted, and any certificate will do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@dataclass
class RealNetwork:
    """Connections from this process, which stands in the node's network namespace."""

    ssl: ssl.SSLContext = field(default_factory=unverified)

    async def http(self, url: str, headers: Mapping[str, str], limit: Seconds) -> Outcome:
        """Success for 200 to 399; redirects to the same host are followed, others count as success."""
        connections, shown = Connections(self.ssl, connect_timeout=limit, timeout=limit), url
        try:
            async with asyncio.timeout(limit):
                for _ in range(MAX_REDIRECTS):
                    response = await connections.request("GET", url, headers)
                    place = response.headers.get("location", "")
                    if response.status not in REDIRECTS or not place:
                        return judged(response)
                    onward = absolute(url, place)
                    if urlsplit(onward).hostname != urlsplit(url).hostname:
                        return Outcome(True, "Probe terminated redirects")
                    url = onward
            return Outcome(False, f'Get "{url}": stopped after {MAX_REDIRECTS} redirects')
        except (TimedOut, TimeoutError):
            return Outcome(False, f'Get "{shown}": context deadline exceeded (Client.Timeout exceeded while awaiting '
                                  "headers)")
        except ConnectionFailed as error:
            host = urlsplit(url)
            return Outcome(False, f'Get "{shown}": {dialled(host.hostname or "", host.port or 80, error.__cause__)}')
        except HttpError as error:
            return Outcome(False, f'Get "{shown}": {error}')
        finally:
            await connections.close()

    async def tcp(self, host: str, port: int, limit: Seconds) -> Outcome:
        try:
            async with asyncio.timeout(limit):
                _, writer = await asyncio.open_connection(host, port)
        except OSError as error:
            return Outcome(False, dialled(host, port, error))
        writer.close()
        return Outcome(True)

    async def grpc(self, host: str, port: int, service: str, limit: Seconds) -> Outcome:
        """The standard health service: SERVING is success. Source: grpc.health.v1."""
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check", request_serializer=health_request,
                                        response_deserializer=health_status)
            try:
                status = await check(service, timeout=limit, metadata=(("user-agent", USER_AGENT),))
            except grpc.aio.AioRpcError as error:
                return Outcome(False, grpc_failure(error, address, limit))
        name = SERVING.get(status, str(status))
        return Outcome(name == "SERVING", "" if name == "SERVING" else
                       f'service unhealthy (responded with "{name}")')


def judged(response: Response) -> Outcome:
    if 200 <= response.status < 400:
        return Outcome(True, response.body[:MAX_OUTPUT].decode(errors="replace"))
    return Outcome(False, f"HTTP probe failed with statuscode: {response.status}")


def absolute(url: str, place: str) -> str:
    if "://" in place:
        return place
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{place if place.startswith('/') else '/' + place}"


def dialled(host: str, port: int, cause: BaseException | None) -> str:
    """`dial tcp 10.244.0.3:80: connect: connection refused`, as Go says it."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(cause, TimeoutError) or cause is None:
        return f"dial tcp {address}: i/o timeout"
    number = cause.errno if isinstance(cause, OSError) else None
    if number == errno.EHOSTUNREACH:
        return f"dial tcp {address}: connect: no route to host"
    if number:
        return f"dial tcp {address}: connect: {os.strerror(number).lower()}"
    return f"dial tcp {address}: {cause}"


def health_request(service: str) -> bytes:
    """A HealthCheckRequest: the service's name in field 1."""
    name = service.encode()
    return b"\x0a" + bytes([len(name)]) + name if name else b""


def health_status(message: bytes) -> int:
    """The status of a HealthCheckResponse, an enum in field 1; absent means 0."""
    return message[1] if len(message) >= 2 and message[0] == 0x08 else 0


def grpc_failure(error: grpc.aio.AioRpcError, address: str, limit: Seconds) -> str:
    if error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
        return f'timeout: failed to connect service "{address}" within {limit:g}s: {error.details()}'
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
    return f"error: health rpc failed: {error.details()}"
