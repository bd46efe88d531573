"""What the API server is told about who may come in, and who decides what they may."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MODES = ("Node", "RBAC", "Webhook", "AlwaysAllow", "AlwaysDeny")
SHORTEST_TOKEN = 3600.0
"""Least seconds that --service-account-max-token-expiration may name, as in Kubernetes."""


@dataclass(frozen=True, kw_only=True)
class AccessSettings:
    """A base for the settings of the API server, which calls `check_access`; without slots, since it has another."""

    anonymous_auth: bool = True
    """Whether who shows no credential comes in, as system:anonymous."""
    api_audiences: tuple[str, ...] = ()
    """Audience for which the server takes tokens; may be given several times. The issuers if not set."""
    authentication_config: Path | None = None
    """AuthenticationConfiguration (YAML): issuers of OpenID Connect tokens, and where anonymous requests are let in."""
    authentication_token_webhook_config_file: Path | None = None
    """Kubeconfig file of a webhook that is asked about tokens that nobody here knows (TokenReview)."""
    authentication_token_webhook_cache_ttl: float = 120.0
    """Seconds for which the token webhook's answers are remembered."""
    token_auth_file: Path | None = None
    """CSV file of tokens: token, user name, uid, and groups in quotes, separated by commas."""
    enable_bootstrap_token_auth: bool = True
    """Whether bootstrap tokens (Secrets of type bootstrap.kubernetes.io/token in kube-system) let their bearer in."""

    oidc_issuer_url: str = ""
    """Issuer of OpenID Connect tokens, an https URL; for several, use --authentication-config."""
    oidc_client_id: str = ""
    """Audience that a token of that issuer must be for."""
    oidc_ca_file: Path | None = None
    """CA that the issuer's server is verified with (PEM); the machine's own if not set."""
    oidc_username_claim: str = "sub"
    """Claim that is the user's name."""
    oidc_username_prefix: str = ""
    """Put before user names; `-` for nothing. If not set, the issuer and `#`, but for the claim `email`, nothing."""
    oidc_groups_claim: str = ""
    """Claim that holds the user's groups."""
    oidc_groups_prefix: str = ""
    """Put before groups."""
    oidc_required_claim: tuple[str, ...] = ()
    """KEY=VALUE that a token must claim; may be given several times."""
    oidc_signing_algs: tuple[str, ...] = ("RS256",)
    """Algorithm that tokens may be signed with; may be given several times."""

    requestheader_client_ca_file: Path | None = None
    """CA of the certificates with which authenticating proxies come (PEM)."""
    requestheader_allowed_names: tuple[str, ...] = ()
    """Common name that such a certificate may have; may be given several times. Any if not set."""
    requestheader_username_headers: tuple[str, ...] = ("X-Remote-User",)
    """Header in which a proxy tells the user's name; may be given several times."""
    requestheader_uid_headers: tuple[str, ...] = ("X-Remote-Uid",)
    """Header in which a proxy tells the user's uid; may be given several times."""
    requestheader_group_headers: tuple[str, ...] = ("X-Remote-Group",)
    """Header in which a proxy tells the user's groups; may be given several times."""
    requestheader_extra_headers_prefix: tuple[str, ...] = ("X-Remote-Extra-",)
    """How headers begin in which a proxy tells more of the user; may be given several times."""

    service_account_key_file: tuple[Path, ...] = ()
    """Further keys (PEM) by which service-account tokens are verified; may be given several times."""
    service_account_issuer: tuple[str, ...] = ("https://kubernetes.default.svc.cluster.local",)
    """Issuer of service-account tokens; may be given several times: the first issues, all are believed."""
    service_account_jwks_uri: str = ""
    """Where the discovery document says that the keys are; the issuer's /openid/v1/jwks if not set."""
    service_account_max_token_expiration: float = 0.0
    """Seconds for which a token holds at most; 0 for no limit but that of the API."""
    service_account_extend_token_expiration: bool = True
    """Whether tokens that are mounted into pods hold for a year, for clients that do not read them anew."""

    authorization_mode: tuple[str, ...] = ("Node", "RBAC")
    """Who is asked whether a request is allowed, in order: Node, RBAC, Webhook, AlwaysAllow or AlwaysDeny."""
    authorization_config: Path | None = None
    """AuthorizationConfiguration (YAML), instead of --authorization-mode and the flags of its webhook."""
    authorization_webhook_config_file: Path | None = None
    """Kubeconfig file of the webhook that mode Webhook asks (SubjectAccessReview)."""
    authorization_webhook_cache_authorized_ttl: float = 300.0
    """Seconds for which the webhook's yes is remembered."""
    authorization_webhook_cache_unauthorized_ttl: float = 30.0
    """Seconds for which the webhook's no is remembered."""

    def check_access(self) -> None:
        """Raise ValueError where the settings do not fit together."""
        if not self.service_account_issuer or not all(self.service_account_issuer):
            raise ValueError("--service-account-issuer must name an issuer")
        if 0 < self.service_account_max_token_expiration < SHORTEST_TOKEN or \
                self.service_account_max_token_expiration > 1 << 32:
            raise ValueError("--service-account-max-token-expiration must be between 3600 and 2^32 seconds")
        for mode in self.authorization_mode:
            if mode not in MODES:
                raise ValueError(f"--authorization-mode {mode}: must be one of {', '.join(MODES)}")
        if len({*self.authorization_mode}) != len(self.authorization_mode):
            raise ValueError("--authorization-mode names a mode twice")
        if ("Webhook" in self.authorization_mode) != (self.authorization_webhook_config_file is not None):
            raise ValueError("--authorization-mode=Webhook and --authorization-webhook-config-file go together")
        if self.authorization_config is not None and (
                self.authorization_mode != ("Node", "RBAC") or self.authorization_webhook_config_file is not None):
            raise ValueError("--authorization-config can not be specified together with --authorization-mode or the "
                             "flags of its webhook")
        if bool(self.oidc_issuer_url) != bool(self.oidc_client_id):
            raise ValueError("--oidc-issuer-url and --oidc-client-id must be specified together")
        if self.authentication_config is not None and self.oidc_issuer_url:
            raise ValueError("--authentication-config and --oidc-issuer-url cannot be specified together")
        if any("=" not in claim for claim in self.oidc_required_claim):
            raise ValueError("--oidc-required-claim must be KEY=VALUE")
