"""pods/log: a container's log, streamed from its node at the client's pace.

Source: API reference, "Read log of the specified Pod"; PodLogOptions.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from timonier.api import times
from timonier.api.errors import BadRequest, Cause, invalid
from timonier.apiserver.documents import Answer
from timonier.apiserver.kubelets import Query, error_of, kubelets_of
from timonier.apiserver.request import Request
from timonier.apiserver.subresources.connect import POD, container_of, node_of
from timonier.kit.http import HttpError, Stream
from timonier.kit.streaming.chunked import send
from timonier.kit.taken import Taken

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

STREAMS = ("All", "Stderr", "Stdout")
ERROR_LIMIT = 50_000
"""Bytes of a kubelet's complaint that are passed on."""


async def serve(server: ApiServer, request: Request) -> Answer | None:
    query = checked(request)
    pod = await server.registry.get(POD, request.namespace, request.name)
    container = container_of(pod, request.parameter("container"))
    if not pod["spec"].get("nodeName"):
        return Answer(204, [], b"")  # nothing was written yet
    path = f"/containerLogs/{request.namespace}/{request.name}/{container}"
    verify = not request.flag("insecureSkipTLSVerifyBackend")
    async with kubelets_of(server).stream("GET", await node_of(server, pod), path, query, verify=verify) as stream:
        if stream.status != 200:
            raise error_of(stream.status, (await stream.read())[:ERROR_LIMIT], "pods/log", request.name)
        assert request.take_over is not None
        taken: Taken = request.take_over()
        with server.metrics.long_running(request):
            await pass_on(taken, stream, {"Content-Type": "text/plain", "Cache-Control": "no-cache, private",
                                          "Audit-Id": request.audit_id})
    return None


async def pass_on(taken: Taken, stream: Stream, headers: dict[str, str], status: int = 200) -> None:
    """Copy an answer's body until it ends or the client goes away; one that breaks off breaks off for the client."""
    try:
        await send(taken, stream, headers, status)
    except HttpError:
        taken.abort()


def checked(request: Request) -> Query:
    """The options for the kubelet. Raises BadRequest for what cannot be read, Invalid for what makes no sense."""
    numbers = {name: number(request, name) for name in ("tailLines", "limitBytes", "sinceSeconds")}
    since, stream = request.parameter("sinceTime"), request.parameter("stream") or "All"
    if since:
        try:
            times.parse(since)
        except ValueError as error:
            raise BadRequest(str(error)) from error
    if causes := complaints(numbers, since, stream):
        raise invalid("", "PodLogOptions", request.name, causes)
    query = [(name, "true") for name in ("follow", "previous", "timestamps") if request.flag(name)]
    query += [(name, str(value)) for name, value in numbers.items() if value is not None]
    query += [("sinceTime", since)] if since else []
    return [*query, ("stream", stream)] if stream != "All" else query


def complaints(numbers: dict[str, int | None], since: str, stream: str) -> list[Cause]:
    causes = []
    for name, least, rule in (("tailLines", 0, "must be greater than or equal to 0"),
                              ("limitBytes", 1, "must be greater than 0"),
                              ("sinceSeconds", 1, "must be greater than 0")):
        value = numbers[name]
        if value is not None and value < least:
            causes.append(Cause("FieldValueInvalid", name, f"Invalid value: {value}: {rule}"))
    if since and numbers["sinceSeconds"] is not None:
        causes.append(Cause("FieldValueForbidden", "",
                            "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"))
    if stream not in STREAMS:
        supported = ", ".join(json.dumps(each) for each in STREAMS)
        causes.append(Cause("FieldValueNotSupported", "stream",
                            f"Unsupported value: {json.dumps(stream)}: supported values: {supported}"))
    if stream != "All" and numbers["tailLines"] is not None:
        causes.append(Cause("FieldValueForbidden", "",
                            "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"))
    return causes


def number(request: Request, name: str) -> int | None:
    text = request.parameter(name)
    if not text:
        return None
    digits = text[1:] if text[0] in "+-" else text
    if not (digits.isascii() and digits.isdigit()):
        raise BadRequest(f"strconv.ParseInt: parsing {json.dumps(text)}: invalid syntax")
    if len(digits) > 18:
        raise BadRequest(f"strconv.ParseInt: parsing {json.dumps(text)}: value out of range")
    return int(text)
