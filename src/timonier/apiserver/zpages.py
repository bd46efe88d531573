"""/statusz and /flagz: what runs here, and what it was told, for people who look for a fault.

Text, unless a client asks for the structured form by name. Source: KEP-4827, KEP-4828.
"""

from __future__ import annotations

import dataclasses
import platform
import time
from typing import TYPE_CHECKING, Any

from timonier.api import times
from timonier.apiserver.answers import encoded, plain
from timonier.apiserver.documents import JSON, Answer, accepted, takes
from timonier.apiserver.request import Object, Request
from timonier.kit.settings import flag_of

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

GROUP, VERSION = "config.k8s.io", "v1alpha1"
COMPONENT = "kube-apiserver"
WARNING = ("Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees "
           "and is for debugging purposes only.")
PATHS = ("/flagz", "/healthz", "/livez", "/metrics", "/metrics/slis", "/readyz", "/statusz", "/version")
TEXT = "text/plain"


def statusz(server: ApiServer, request: Request) -> Answer:
    """Since when the server runs, on what, as which version."""
    now = server.clock.now()
    up = int(now - server.begun)
    facts: Object = {"startTime": times.rfc3339(server.begun), "uptimeSeconds": up,
                     "goVersion": f"none: {platform.python_implementation()} {platform.python_version()}",
                     "binaryVersion": "1.37.0", "emulationVersion": "1.37", "paths": list(PATHS)}
    started = time.strftime("%a %b %e %H:%M:%S UTC %Y", time.gmtime(server.begun))
    lines = [f"Started: {started}", f"Up: {up // 3600} hr {up // 60 % 60:02} min {up % 60:02} sec",
             f"Python version: {platform.python_version()}", "Binary version: 1.37.0", "Emulation version: 1.37",
             f"Paths: {' '.join(PATHS)}"]
    return answer(request, "Statusz", "statusz", facts, lines)


def flagz(server: ApiServer, request: Request) -> Answer:
    """Every flag of the server, as it counts. None of them is a secret: keys are given as files."""
    flags = {flag_of(field.name).removeprefix("--"): shown(getattr(server.settings, field.name))
             for field in dataclasses.fields(server.settings)}
    return answer(request, "Flagz", "flags", {"flags": flags}, [f"{name}={flags[name]}" for name in sorted(flags)])


def shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)


def answer(request: Request, kind: str, title: str, facts: Object, lines: list[str]) -> Answer:
    """Text or the structured form, as the client likes best; 406 where it likes neither."""
    for clause in accepted(request.headers.get("accept", "")) or accepted(TEXT):
        asked = clause.parameters
        if clause.media_type == JSON and (asked.get("g"), asked.get("v"), asked.get("as")) == (GROUP, VERSION, kind):
            return encoded(200, {"kind": kind, "apiVersion": f"{GROUP}/{VERSION}", "metadata": {"name": COMPONENT}}
                           | facts)
        if takes(clause, TEXT):
            return plain(200, "\n".join(["", f"{COMPONENT} {title}", WARNING, "", *lines, ""]))
    return plain(406, f"Not Acceptable: only {TEXT} and {JSON};g={GROUP};v={VERSION};as={kind} are supported\n")
