"""A Secret of type `kubernetes.io/service-account-token` is filled with a token of the account that it names.

Such a token never expires; it dies with its Secret, and the Secret with its account. Nobody gets one without asking.
Source: kubernetes/pkg/controller/serviceaccount, tokens controller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from timonier.api.kinds import BY_ID
from timonier.api.types import core_v1
from timonier.client.informer import key_of
from timonier.kit.clock import Time
from timonier.kit.jws import Keyring
from timonier.reconcile.plan import Delete, Plan, Reference
from timonier.reconcile.snapshot import Snapshot, Watch, clone, itself

TYPE = "kubernetes.io/service-account-token"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
ISSUER, CLAIM = "kubernetes/serviceaccount", "kubernetes.io/serviceaccount/"
ACCOUNT = BY_ID["v1/ServiceAccount"]
BY_ACCOUNT = "account"


class TokensController:
    """A key is a Secret. `authority` is the CA in PEM by which the bearer verifies the API server."""

    name = "serviceaccount-token-controller"

    def __init__(self, keys: Keyring, authority: bytes) -> None:
        self._keys, self._authority = keys, authority

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(core_v1.Secret, itself, indexes={BY_ACCOUNT: account_of}, fields=f"type={TYPE}"),
                Watch(core_v1.ServiceAccount, secrets_of)]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        secret = snapshot.get(core_v1.Secret, key)
        if secret is None or secret.metadata.deletionTimestamp:
            return Plan()
        (account_key,) = account_of(secret)
        account, uid = snapshot.get(core_v1.ServiceAccount, account_key), secret.metadata.annotations.get(UID, "")
        if account is None or uid not in ("", account.metadata.uid):
            namespace, _, name = account_key.partition("/")
            return Plan(absent=[Reference(ACCOUNT, name, namespace, uid)], delete=[Delete.of(secret)])
        wanted = filled(secret, account, self._keys, self._authority)
        return Plan(update=[wanted] if wanted != secret else [])


def account_of(secret: core_v1.Secret) -> tuple[str]:
    return (f"{secret.metadata.namespace}/{secret.metadata.annotations.get(NAME, '')}",)


def secrets_of(account: core_v1.ServiceAccount, snapshot: Snapshot) -> list[str]:
    return [key_of(secret) for secret in snapshot.by_index(core_v1.Secret, BY_ACCOUNT, key_of(account))]


def filled(secret: core_v1.Secret, account: core_v1.ServiceAccount, keys: Keyring, authority: bytes) -> core_v1.Secret:
    """The Secret with what it lacks; a token that is there stays."""
    wanted, meta = clone(secret), account.metadata
    wanted.metadata.annotations |= {UID: meta.uid}
    wanted.data |= {"namespace": meta.namespace.encode()} | ({"ca.crt": authority} if authority else {})
    if not wanted.data.get("token"):
        wanted.data["token"] = keys.sign(claims(account, secret.metadata.name)).encode()
    return wanted


def claims(account: core_v1.ServiceAccount, secret: str) -> Mapping[str, str]:
    meta = account.metadata
    return {"iss": ISSUER, CLAIM + "namespace": meta.namespace, CLAIM + "secret.name": secret,
            CLAIM + "service-account.name": meta.name, CLAIM + "service-account.uid": meta.uid,
            "sub": f"system:serviceaccount:{meta.namespace}:{meta.name}"}
