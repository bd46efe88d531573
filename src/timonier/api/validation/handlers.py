"""What is done to a running container: probes, and hooks at its start and its end."""

from __future__ import annotations

from timonier.api import names
from timonier.api.validation.causes import POSITIVE, Causes, Obj
from timonier.api.validation.metadata import port_or_name

HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
SIGNALS = frozenset({f"SIG{name}" for name in (
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
    *(f"RTMIN+{number}" for number in range(1, 16)), *(f"RTMAX-{number}" for number in range(1, 15)))})
WINDOWS_SIGNALS = ("SIGKILL", "SIGTERM")
TIMES = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def probe(given: Obj, path: str, causes: Causes, *, readiness: bool) -> None:
    handler(given, HANDLERS, None, path, causes)
    causes.non_negative(given, path, *TIMES)
    grace = given.get("terminationGracePeriodSeconds")
    if grace is not None:
        if grace <= 0:
            causes.invalid(f"{path}.terminationGracePeriodSeconds", grace, POSITIVE)
        if readiness:
            causes.invalid(f"{path}.terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")
    if not readiness and given.get("successThreshold", 1) != 1:
        causes.invalid(f"{path}.successThreshold", given["successThreshold"], "must be 1")


def lifecycle(hooks: Obj, grace: int | None, system: str, path: str, causes: Causes) -> None:
    """Hooks, and the signal by which a container is asked to stop, which depends on the pod's operating system."""
    for hook in ("postStart", "preStop"):
        if hook in hooks:
            handler(hooks[hook], HOOK_HANDLERS, grace, f"{path}.{hook}", causes)
    if (signal := hooks.get("stopSignal")) is not None:
        supported = WINDOWS_SIGNALS if system == "windows" else sorted(SIGNALS)
        if not system:
            causes.forbidden(f"{path}.stopSignal", "may not be set for containers with empty `spec.os.name`")
        elif signal not in supported:
            causes.unsupported(f"{path}.stopSignal", signal, supported)


def handler(given: Obj, kinds: tuple[str, ...], grace: int | None, path: str, causes: Causes) -> None:
    """What a probe or a hook does: one thing."""
    found = False
    for kind in kinds:
        if kind in given:
            if found:
                causes.forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")
            else:
                action(kind, given[kind], grace, f"{path}.{kind}", causes)
            found = True
    if not found:
        causes.required(path, "must specify a handler type")


def action(kind: str, given: Obj, grace: int | None, path: str, causes: Causes) -> None:
    match kind:
        case "exec":
            if not given.get("command"):
                causes.required(f"{path}.command")
        case "httpGet":
            if not given.get("path"):
                causes.required(f"{path}.path")
            port_or_name(given.get("port", 0), f"{path}.port", causes)
            causes.optional(given, path, "scheme", ("HTTP", "HTTPS"))
            for header in given.get("httpHeaders", ()):
                name = header.get("name", "")
                causes.each_invalid(f"{path}.httpHeaders", name, names.http_header(name))
        case "tcpSocket" | "grpc":
            port_or_name(given.get("port", 0), f"{path}.port", causes)
        case "sleep":
            seconds = given.get("seconds", 0)
            if grace is not None and not 0 <= seconds <= grace:
                causes.invalid(path, seconds,
                               f"must be non-negative and less than terminationGracePeriodSeconds ({grace})")
