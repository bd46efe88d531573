"""What a series of probe results means: a verdict changes after so many successes or failures in a row. Pure.

Source: Kubernetes documentation, "Liveness, Readiness, and Startup Probes".
"""

from __future__ import annotations

from dataclasses import dataclass

from timonier.api.types import core_v1
from timonier.kit.clock import Seconds, Time

LIVENESS, READINESS, STARTUP = "liveness", "readiness", "startup"
INITIAL = {LIVENESS: True, READINESS: False, STARTUP: None}
"""What holds before the first result: alive, not ready, not known to have started."""


def positive(value: int | None, default: int) -> int:
    return value if value else default


@dataclass
class Series:
    """The results of one probe of one container."""

    probe: core_v1.Probe
    kind: str
    verdict: bool | None = None
    last: bool | None = None
    in_a_row: int = 0

    @classmethod
    def begin(cls, probe: core_v1.Probe, kind: str, verdict: bool | None = None) -> Series:
        return cls(probe, kind, INITIAL[kind] if verdict is None else verdict)

    def add(self, success: bool) -> bool:
        """Take a result; whether the verdict changed."""
        self.in_a_row = self.in_a_row + 1 if success == self.last else 1
        self.last = success
        needed = positive(self.probe.successThreshold, 1) if success else positive(self.probe.failureThreshold, 3)
        if self.in_a_row < needed or self.verdict == success:
            return False
        self.verdict = success
        return True

    @property
    def settled(self) -> bool:
        """Whether there is no point in asking again: it has started, or it is to be killed."""
        return (self.kind == STARTUP and self.verdict is not None) or (self.kind == LIVENESS and self.verdict is False)


def period(probe: core_v1.Probe) -> Seconds:
    return positive(probe.periodSeconds, 10)


def limit(probe: core_v1.Probe) -> Seconds:
    return positive(probe.timeoutSeconds, 1)


def first_at(probe: core_v1.Probe, started_at: Time) -> Time:
    return started_at + (probe.initialDelaySeconds or 0)


def probes_of(container: core_v1.Container) -> dict[str, core_v1.Probe]:
    given = {STARTUP: container.startupProbe, READINESS: container.readinessProbe, LIVENESS: container.livenessProbe}
    return {kind: probe for kind, probe in given.items() if probe is not None}
