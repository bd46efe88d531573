"""Where a part of a cluster shows itself: the settings that all such parts share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSettings:
    """A base for the settings of a part; one that overrides `__post_init__` calls `check_serving`."""

    bind_address: str = ""
    """Address on which health, metrics and configuration are served over HTTPS; nowhere if empty."""
    secure_port: int = 10257
    """Port of health, metrics and configuration."""
    tls_cert_file: Path | None = None
    """Certificate of the endpoint, PEM; needed with --bind-address."""
    tls_private_key_file: Path | None = None
    """Private key of that certificate, PEM."""
    client_ca_file: Path | None = None
    """CA whose client certificates are believed at the endpoint, PEM; needed with --bind-address."""

    def check_serving(self) -> None:
        if not 1 <= self.secure_port <= 65535:
            raise ValueError("--secure-port must be 1 to 65535")
        if self.bind_address and not (self.tls_cert_file and self.tls_private_key_file and self.client_ca_file):
            raise ValueError("--bind-address needs --tls-cert-file, --tls-private-key-file and --client-ca-file")
