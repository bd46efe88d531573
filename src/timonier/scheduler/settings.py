"""What the scheduler is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from timonier.component.settings import ServingSettings


@dataclass(frozen=True, slots=True)
class SchedulerSettings(ServingSettings):
    """Run the scheduler of a cluster."""

    kubeconfig: Path
    """Kubeconfig file with which the scheduler reaches the API server."""
    scheduler_name: str = "default-scheduler"
    """Pods whose schedulerName is this one are scheduled; others are left to other schedulers."""
    binders: int = 32
    """Requests to the API server that may be under way at once."""
    pod_initial_backoff: float = 1.0
    """Seconds that a pod waits after its first failed attempt; doubled with each further one."""
    pod_max_backoff: float = 10.0
    """Seconds that a pod waits between attempts at most."""
    unschedulable_flush: float = 300.0
    """Seconds after which a pod that did not fit is tried again though nothing happened that could help it."""
    leader_elect: bool = False
    """Whether to work only while holding the lease kube-scheduler, so that several may stand by."""
    secure_port: int = field(default=10259, kw_only=True)
    """Port of health, metrics and configuration."""
    log_level: str = "info"
    """Least severe messages to log: debug, info, warning or error."""

    def __post_init__(self) -> None:
        self.check_serving()
        if self.binders < 1:
            raise ValueError("--binders must be at least 1")
        if not 0 < self.pod_initial_backoff <= self.pod_max_backoff:
            raise ValueError("--pod-initial-backoff must be positive and at most --pod-max-backoff")
        if self.unschedulable_flush <= 0:
            raise ValueError("--unschedulable-flush must be positive")
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise ValueError("--log-level must be debug, info, warning or error")
