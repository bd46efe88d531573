"""How the server calls webhooks: HTTPS to a Service of the cluster, or to a URL, as a `WebhookClientConfig` says.

Admission and the conversion of custom resources both call this way. What is asked and answered is theirs; here it is
bytes, and every way in which no answer comes has Go's words, which users search the web for.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl as tls
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import orjson

from timonier.api.errors import ApiError
from timonier.apiserver.endpoints import dial
from timonier.apiserver.kubelets import Kubelets, kubelets_of
from timonier.apiserver.registry import Registry
from timonier.apiserver.request import Object
from timonier.kit.clock import Seconds
from timonier.kit.http import ConnectionFailed, Connections, Disconnected, HttpError, Response, TimedOut

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

KEPT = 200
"""Webhooks to which connections are kept."""
HEADERS = {"Accept": "application/json, */*", "Content-Type": "application/json",
           "User-Agent": "kube-apiserver-admission"}
WORDS = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    409: "the server reported a conflict",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}
"""What an answer of that status means, in the words of Go's client."""
DISTRUST = {
    "signature failure": "certificate signed by unknown authority",
    "unable to get local issuer": "certificate signed by unknown authority",
    "self-signed": "certificate signed by unknown authority",
    "self signed": "certificate signed by unknown authority",
    "expired": "certificate has expired or is not yet valid",
    "not yet valid": "certificate has expired or is not yet valid",
}


class NotAnswered(Exception):
    """No answer of use came; `code` is the status that says so best."""

    def __init__(self, message: str, code: int = 503) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Hooks:
    """All webhooks, with their connections. `kubelets` is asked for when a Service is first called."""

    registry: Registry
    kubelets: Callable[[], Kubelets]
    _kept: OrderedDict[bytes, Connections] = field(default_factory=OrderedDict)

    async def post(self, config: Object, content: object, within: Seconds) -> bytes:
        """Send JSON and return the body of the answer. Raises NotAnswered."""
        url = f"{url_of(config)}?timeout={seconds(within)}s"
        body = orjson.dumps(content)
        try:
            response = await self._exchange(config, url, body, within)
        except (HttpError, ApiError, OSError) as error:
            raise NotAnswered(f'Post "{url}": {why(error)}') from error
        if not 200 <= response.status < 300:
            raise NotAnswered(refusal(response), response.status)
        return response.body

    async def _exchange(self, config: Object, url: str, body: bytes, within: Seconds) -> Response:
        connections = await self._connections(config)
        try:
            return await connections.request("POST", url, HEADERS, body, within=within)
        except Disconnected:
            # A webhook that was restarted leaves dead connections behind; what it is asked may be asked twice.
            return await connections.request("POST", url, HEADERS, body, within=within)

    async def _connections(self, config: Object) -> Connections:
        key = orjson.dumps(config, option=orjson.OPT_SORT_KEYS)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = self._connect(config)
            if len(self._kept) > KEPT:
                _, old = self._kept.popitem(last=False)
                await old.close()
        self._kept.move_to_end(key)
        return found

    def _connect(self, config: Object) -> Connections:
        context = trusting(config.get("caBundle") or "")
        service = config.get("service")
        if service is None:
            return Connections(context)
        place = service["namespace"], service["name"], service.get("port", 443)
        return Connections(context, dial=lambda host, port: dial(self.registry, self.kubelets, *place))

    async def close(self) -> None:
        for connections in self._kept.values():
            await connections.close()
        self._kept.clear()


def hooks_of(server: ApiServer) -> Hooks:
    """The server's way to webhooks, made when it is first needed."""
    found = server.parts.get("hooks")
    if not isinstance(found, Hooks):
        found = server.parts["hooks"] = Hooks(server.registry, lambda: kubelets_of(server))
    return found


def url_of(config: Object) -> str:
    """Where a webhook is, without a query: that of a Service by the name that its certificate has to have."""
    service = config.get("service")
    if service is not None:
        path = (service.get("path") or "").lstrip("/")
        return f"https://{service['name']}.{service['namespace']}.svc:{service.get('port', 443)}/{path}"
    scheme, place, path, _, _ = urlsplit(config["url"])
    return urlunsplit((scheme, place, path or "/", "", ""))


def trusting(bundle: str) -> tls.SSLContext:
    """TLS that believes the certificates of a bundle (base64 of PEM); where it is empty, what the machine believes.

    Raises NotAnswered for a bundle that holds none.
    """
    if not bundle:
        return tls.create_default_context()
    try:
        return tls.create_default_context(cadata=base64.b64decode(bundle).decode("ascii"))
    except (binascii.Error, UnicodeDecodeError, tls.SSLError) as error:
        raise NotAnswered("unable to load root certificates: unable to parse bytes as PEM block", 500) from error


def why(error: Exception) -> str:
    """Why there was no answer, as Go's client says it."""
    if isinstance(error, TimedOut):
        return "context deadline exceeded"
    if isinstance(error, ApiError):
        return error.message
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, tls.SSLCertVerificationError):
        return f"tls: failed to verify certificate: x509: {distrust(cause)}"
    if isinstance(error, ConnectionFailed):
        place, _, reason = str(error).rpartition(": ")
        if isinstance(cause, TimeoutError):
            return "context deadline exceeded"
        if isinstance(cause, OSError) and cause.errno:
            return f"dial tcp {place}: connect: {os.strerror(cause.errno).lower()}"
        return f"dial tcp {place}: {reason.lower()}"
    return "EOF" if isinstance(error, Disconnected) else str(error)


def distrust(error: tls.SSLCertVerificationError) -> str:
    text = error.verify_message
    return next((words for sign, words in DISTRUST.items() if sign in text), text.strip())


def refusal(response: Response) -> str:
    """What an answer other than success says."""
    if response.status >= 500 and response.status not in WORDS:
        text = response.body.decode(errors="replace").strip() or "unknown"
        return f'an error on the server ("{text}") has prevented the request from succeeding'
    return WORDS.get(response.status, "the server responded with the status code "
                     f"{response.status} but did not return more information")


def seconds(within: Seconds) -> int:
    """A limit as webhooks are told of it, in full seconds and never less than it is."""
    return max(1, -int(-within // 1))
