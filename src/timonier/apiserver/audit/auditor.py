"""Audits the requests of one server: a record for each that the policy is about, and events to where they go."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from timonier.api.errors import ApiError, InternalError
from timonier.apiserver.audit.batch import Batches, Pace
from timonier.apiserver.audit.file import File
from timonier.apiserver.audit.policy import Policy
from timonier.apiserver.audit.record import Record
from timonier.apiserver.audit.settings import AuditSettings
from timonier.apiserver.meters import counter
from timonier.apiserver.request import Request, User
from timonier.kit.clock import Clock
from timonier.kit.fatal import CannotRun, needed

if TYPE_CHECKING:
    from prometheus_client import Metric

log = logging.getLogger(__name__)

Object = dict[str, Any]

NOBODY = User("")
WITHOUT_OBJECTS = ("requestObject", "responseObject")


class Sink(Protocol):
    """Takes events as JSON, one or several. Raises OSError where they are lost."""

    async def deliver(self, events: Sequence[bytes]) -> None: ...


@dataclass(frozen=True, slots=True)
class Backend:
    """A sink, how it is fed, and the bytes that an event may have (0 for any number)."""

    name: str
    sink: Sink
    strict: bool = False
    largest: int = 0


class Auditor:
    """What the server asks to audit its requests."""

    def __init__(self, policy: Policy, backends: Sequence[Backend], clock: Clock) -> None:
        self.policy, self.backends, self.clock = policy, backends, clock
        self.events = self.rejected = 0
        self.levels: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    async def begin(self, request: Request) -> None:
        """Begin a request's record, where the policy is about it. Raises InternalError where that has to be kept."""
        attributes = request.attributes()
        treatment = self.policy.treatment(request.user, attributes)
        self.levels[treatment.level] += 1
        if treatment.level == "None":
            return
        record = request.audit = Record(self, request, attributes, treatment)
        if not await record.take("RequestReceived"):
            self.rejected += 1
            raise InternalError("Internal error occurred: failed to store audit event")
        if take_over := request.take_over:
            def announced() -> Any:
                record.begins()
                return take_over()
            request.take_over = announced

    async def refused(self, request: Request, error: ApiError) -> None:
        """Record a request of somebody who could not say who they are."""
        attributes = request.attributes()
        treatment = self.policy.treatment(NOBODY, attributes)
        self.levels[treatment.level] += 1
        if treatment.level != "None":
            request.user = NOBODY
            record = Record(self, request, attributes, treatment)
            record.status = {"metadata": {}, "status": "Failure", "message": attempted(request),
                             "reason": error.reason, "code": error.code}
            await record.take("ResponseStarted")

    async def take(self, event: Object, *, strict: bool) -> bool:
        """Hand an event to all backends. False where one that is strict lost it."""
        self.events += 1
        kept = True
        for backend in self.backends:
            data = sized(event, backend.largest)
            try:
                if data is None:
                    raise OSError(f"event is larger than {backend.largest} bytes even without its objects")
                await backend.sink.deliver([data])
            except OSError as error:
                self.errors[backend.name] += 1
                log.warning("audit event lost", extra={"backend": backend.name, "audit_id": event["auditID"],
                                                       "error": str(error)})
                kept = kept and not (strict and backend.strict)
        return kept

    def families(self) -> Iterator[Metric]:
        """What was counted, under Kubernetes's names."""
        yield counter("apiserver_audit_event_total", "Audit events made.", (), [((), self.events)])
        yield counter("apiserver_audit_error_total", "Audit events lost.", ("plugin",),
                      (((name,), count) for name, count in self.errors.items()))
        yield counter("apiserver_audit_level_total", "Requests, by how much of them was audited.", ("level",),
                      (((level,), count) for level, count in self.levels.items()))
        yield counter("apiserver_audit_requests_rejected_total", "Requests refused because they could not be audited.",
                      (), [((), self.rejected)])


def attempted(request: Request) -> str:
    """By what a client that was refused wanted to show who it is."""
    ways = [name for name, there in (("x509", request.peer_certificate is not None),
                                     ("bearer", "authorization" in request.headers)) if there]
    return f"Authentication failed, attempted: {', '.join(ways)}" if ways else \
        "Authentication failed, no credentials provided"


def sized(event: Object, largest: int) -> bytes | None:
    """An event as JSON; without its objects where it is too large, None where it then still is."""
    data = orjson.dumps(event)
    if largest and len(data) > largest:
        short = {key: value for key, value in event.items() if key not in WITHOUT_OBJECTS}
        data = orjson.dumps(short | {"annotations": event.get("annotations", {}) | {"audit.k8s.io/truncated": "true"}})
    return None if largest and len(data) > largest else data


@asynccontextmanager
async def auditing(settings: AuditSettings, clock: Clock) -> AsyncIterator[Auditor]:
    """The auditor that settings describe; ends when what was taken has been delivered. Raises CannotRun."""
    async with AsyncExitStack() as stack:
        backends = []
        if settings.audit_log_path:
            file = File(settings.audit_log_path, settings.audit_log_maxsize * 2**20, settings.audit_log_maxage,
                        settings.audit_log_maxbackup, clock, compress=settings.audit_log_compress)
            stack.push_async_callback(file.close)
            sink: Sink = file
            if settings.audit_log_mode == "batch":
                sink = await stack.enter_async_context(Batches(file, "log", clock))
            backends.append(Backend("log", sink, settings.audit_log_mode == "blocking-strict",
                                    settings.audit_log_truncate_max_event_size
                                    if settings.audit_log_truncate_enabled else 0))
        if settings.audit_webhook_config_file is not None:
            from timonier.apiserver.audit.webhook import Webhook

            webhook = Webhook(settings.audit_webhook_config_file, settings.audit_webhook_initial_backoff, clock)
            stack.push_async_callback(webhook.close)
            sink = webhook
            if settings.audit_webhook_mode == "batch":
                pace = Pace(settings.audit_webhook_batch_throttle_qps, settings.audit_webhook_batch_throttle_burst) \
                    if settings.audit_webhook_batch_throttle_enable else None
                sink = await stack.enter_async_context(Batches(
                    webhook, "webhook", clock, settings.audit_webhook_batch_buffer_size,
                    settings.audit_webhook_batch_max_size, settings.audit_webhook_batch_max_wait, pace))
            backends.append(Backend("webhook", sink, settings.audit_webhook_mode == "blocking-strict",
                                    settings.audit_webhook_truncate_max_event_size
                                    if settings.audit_webhook_truncate_enabled else 0))
        yield Auditor(read_policy(settings), backends, clock)


def read_policy(settings: AuditSettings) -> Policy:
    from timonier.apiserver import yamls

    file = settings.audit_policy_file
    assert file is not None
    with needed("cannot read the audit policy"):
        text = file.read_bytes()
    try:
        return Policy(yamls.load(text))
    except (ValueError, ApiError) as error:
        raise CannotRun(f"{file}: the audit policy cannot be used: {error}") from None
