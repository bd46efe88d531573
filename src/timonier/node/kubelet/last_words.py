"""What a container left behind to explain its end: its termination message file, or the end of its log.

Source: Kubernetes documentation, "Determine the Reason for Pod Failure".
"""

from __future__ import annotations

from pathlib import Path

from timonier.node.cri.contract import ContainerStatus
from timonier.node.kubelet import names

MAX_MESSAGE = 4096
MAX_LOG, MAX_LINES = 2048, 80


def message(status: ContainerStatus) -> str:
    """The message of a container that has ended; empty where it left none."""
    path = status.annotations.get(names.MESSAGE_PATH, "")
    policy = status.annotations.get(names.MESSAGE_POLICY, "")
    file = next((mount.host_path for mount in status.mounts if mount.container_path == path), "") if path else ""
    text = head(Path(file), MAX_MESSAGE) if file else ""
    if not text and policy == "FallbackToLogsOnError" and status.exit_code and status.log_path:
        text = log_tail(Path(status.log_path))
    return text


def head(file: Path, size: int) -> str:
    try:
        with file.open("rb") as source:
            return source.read(size).decode(errors="replace")
    except OSError:
        return ""


def log_tail(file: Path) -> str:
    """The last lines that a container wrote, from a log in CRI's format: `time stream F|P text`."""
    try:
        with file.open("rb") as source:
            source.seek(0, 2)
            source.seek(max(0, source.tell() - 4 * MAX_LOG - 64 * MAX_LINES))
            lines = source.read().splitlines()[-MAX_LINES:]
    except OSError:
        return ""
    pieces = []
    for line in lines:
        parts = line.split(b" ", 3)
        if len(parts) == 4:
            pieces.append(parts[3] + (b"\n" if parts[2] == b"F" else b""))
    return b"".join(pieces)[-MAX_LOG:].decode(errors="replace")
