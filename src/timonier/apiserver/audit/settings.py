"""What the API server is told about auditing. The flags are kube-apiserver's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MODES = ("batch", "blocking", "blocking-strict")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """Without a policy file nothing is audited."""

    audit_policy_file: Path | None = None
    """Policy (audit.k8s.io/v1) that says which requests are audited, and how much of them."""
    audit_log_path: str = ""
    """File to which audit events are written, one a line; `-` for standard output."""
    audit_log_mode: str = "blocking"
    """How events reach the file: batch, blocking, or blocking-strict, which refuses requests that it cannot record."""
    audit_log_maxsize: int = 100
    """Megabytes after which the file is put aside and a new one begun."""
    audit_log_maxage: int = 0
    """Days for which files that were put aside are kept; 0 for ever."""
    audit_log_maxbackup: int = 0
    """Files that were put aside and are kept; 0 for all."""
    audit_log_compress: bool = False
    """Whether files that were put aside are compressed."""
    audit_log_truncate_enabled: bool = False
    """Whether events that are too large for the file lose the objects in them."""
    audit_log_truncate_max_event_size: int = 102_400
    """Bytes of the largest event in the file, where events are truncated."""
    audit_webhook_config_file: Path | None = None
    """Kubeconfig that says where audit events are sent."""
    audit_webhook_mode: str = "batch"
    """How events reach the webhook: batch, blocking, or blocking-strict."""
    audit_webhook_initial_backoff: float = 10.0
    """Seconds after which what the webhook did not take is sent again; each further time half as much more."""
    audit_webhook_batch_buffer_size: int = 10_000
    """Events that may wait for the webhook; beyond that they are lost, and counted."""
    audit_webhook_batch_max_size: int = 400
    """Events that are sent together."""
    audit_webhook_batch_max_wait: float = 30.0
    """Seconds for which an event waits for others."""
    audit_webhook_batch_throttle_enable: bool = True
    """Whether batches are sent no faster than --audit-webhook-batch-throttle-qps."""
    audit_webhook_batch_throttle_qps: float = 10.0
    """Batches that are sent a second, on average."""
    audit_webhook_batch_throttle_burst: int = 15
    """Batches that are sent at once after a while in which there were none."""
    audit_webhook_truncate_enabled: bool = False
    """Whether events that are too large for the webhook lose the objects in them."""
    audit_webhook_truncate_max_event_size: int = 102_400
    """Bytes of the largest event that is sent, where events are truncated."""


def check(settings: AuditSettings) -> None:
    """Raise ValueError for what does not go together."""
    for flag, mode in (("log", settings.audit_log_mode), ("webhook", settings.audit_webhook_mode)):
        if mode not in MODES:
            raise ValueError(f"--audit-{flag}-mode {mode}: must be one of {', '.join(MODES)}")
    if (settings.audit_log_path or settings.audit_webhook_config_file) and settings.audit_policy_file is None:
        raise ValueError("--audit-policy-file says what is audited: without it nothing would be")
    if settings.audit_log_maxsize <= 0:
        raise ValueError(f"--audit-log-maxsize {settings.audit_log_maxsize}: must be positive")
    if settings.audit_webhook_batch_max_size <= 0 or settings.audit_webhook_batch_throttle_qps <= 0:
        raise ValueError("--audit-webhook-batch-max-size and --audit-webhook-batch-throttle-qps must be positive")
