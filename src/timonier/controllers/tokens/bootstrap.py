"""Bootstrap tokens: what joins a cluster verifies `cluster-info` by them, and they are thrown away when they end.

`cluster-info` in kube-public is a kubeconfig that anybody may read. Each token that may sign puts a signature beside
it, so that who knows the token knows the kubeconfig to be right.
Source: Kubernetes documentation, "Authenticating with Bootstrap Tokens"; RFC 7515, detached content.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from typing import Any

from timonier.api import bootstrap_tokens
from timonier.api.bootstrap_tokens import NAMESPACE, TYPE, BootstrapToken, NoBootstrapToken
from timonier.api.types import core_v1
from timonier.kit.clock import Time
from timonier.reconcile.plan import Delete, Plan
from timonier.reconcile.snapshot import Snapshot, Watch, clone, itself

PUBLIC, CLUSTER_INFO = "kube-public", "cluster-info"
KUBECONFIG, SIGNATURE = "kubeconfig", "jws-kubeconfig-"


class TokenCleaner:
    """A key is a token's Secret."""

    name = "token-cleaner"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(core_v1.Secret, itself, namespace=NAMESPACE, fields=f"type={TYPE}")]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        secret = snapshot.get(core_v1.Secret, key)
        token = read(secret) if secret is not None else None
        if secret is None or token is None or token.expires is None:
            return Plan()
        return Plan(delete=[Delete.of(secret)]) if token.expired(now) else Plan(again=token.expires - now)


class BootstrapSigner:
    """There is one key: `cluster-info`."""

    name = "bootstrap-signer"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        key = (f"{PUBLIC}/{CLUSTER_INFO}",)
        return [Watch(core_v1.ConfigMap, lambda found, _: key, namespace=PUBLIC,
                      fields=f"metadata.name={CLUSTER_INFO}"),
                Watch(core_v1.Secret, lambda secret, _: key, namespace=NAMESPACE, fields=f"type={TYPE}")]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        info = snapshot.get(core_v1.ConfigMap, key)
        if info is None or KUBECONFIG not in info.data:
            return Plan()
        wanted = clone(info)
        signing = [token for token in tokens(snapshot) if token.signs and not token.expired(now)]
        wanted.data = {name: text for name, text in info.data.items() if not name.startswith(SIGNATURE)} | {
            SIGNATURE + token.id: signature(info.data[KUBECONFIG], token) for token in signing}
        ends = [token.expires - now for token in signing if token.expires is not None]
        return Plan(update=[wanted] if wanted != info else [], again=min(ends, default=None))


def tokens(snapshot: Snapshot) -> Iterator[BootstrapToken]:
    for secret in snapshot.list(core_v1.Secret):
        if not secret.metadata.deletionTimestamp and (token := read(secret)) is not None:
            yield token


def read(secret: core_v1.Secret) -> BootstrapToken | None:
    try:
        return bootstrap_tokens.read(secret.metadata.name, secret.data)
    except NoBootstrapToken:
        return None


def signature(content: str, token: BootstrapToken) -> str:
    """A signature (HS256) whose content is left out, since it stands beside it."""
    head = encoded(json.dumps({"alg": "HS256", "kid": token.id}, separators=(",", ":")).encode())
    digest = hmac.digest(token.secret.encode(), f"{head}.{encoded(content.encode())}".encode(), hashlib.sha256)
    return f"{head}..{encoded(digest)}"


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
