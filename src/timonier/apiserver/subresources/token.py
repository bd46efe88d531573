"""serviceaccounts/token: a new token for a service account, for an audience and a time, bound to an object.

`kubectl create token` asks for one, and every kubelet for each pod. What a token says stands in `auth.tokens`.
Source: KEP-1205; API reference, TokenRequest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from timonier.api.errors import BadRequest, Cause, conflict, invalid
from timonier.api.kinds import BY_ID, CREATE_ONLY, Kind, kind
from timonier.api.times import rfc3339
from timonier.apiserver.admission.contract import CREATE
from timonier.apiserver.auth.tokens import Bound, Keyring, new_claims
from timonier.apiserver.request import Object, Request
from timonier.kit.clock import Clock, Seconds

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer
    from timonier.apiserver.documents import Answer

TOKEN_REQUEST = kind("authentication.k8s.io/v1", "TokenRequest", "tokenrequests", verbs=CREATE_ONLY)
ACCOUNT = BY_ID["v1/ServiceAccount"]
BINDABLE = {("v1", kind): BY_ID[f"v1/{kind}"] for kind in ("Pod", "Secret", "Node")}
NODE = BINDABLE["v1", "Node"]
DEFAULT_SECONDS, SHORTEST, LONGEST = 3600, 600, 1 << 32


class Registry(Protocol):
    """The part of the registry that is read here."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Object: ...

    def peek(self, kind: Kind, namespace: str, name: str) -> Object | None: ...


@dataclass(frozen=True)
class TokenIssuer:
    """Makes tokens. `audiences` are those of a token whose request names none."""

    registry: Registry
    keys: Keyring
    issuer: str
    audiences: Sequence[str]
    clock: Clock

    async def issue(self, wanted: Object, namespace: str, name: str) -> Object:
        """The TokenRequest with its token. Raises NotFound, Invalid, Conflict or BadRequest."""
        account = await self.registry.get(ACCOUNT, namespace, name)
        check_name(wanted, namespace, name)
        spec = dict(wanted.get("spec") or {})
        spec["audiences"] = list(spec.get("audiences") or self.audiences)
        seconds = spec["expirationSeconds"] = check_seconds(spec.get("expirationSeconds"))
        bound = await self.bound(spec.get("boundObjectRef"), namespace, name)
        now = self.clock.now()
        claims = new_claims(namespace, name, account["metadata"]["uid"], audiences=spec["audiences"], seconds=seconds,
                            now=now, bound=bound)
        metadata = {"name": name, "namespace": namespace, "creationTimestamp": rfc3339(now)}
        status = {"token": self.keys.sign(claims, self.issuer), "expirationTimestamp": rfc3339(claims.expires)}
        return {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": metadata, "spec": spec,
                "status": status}

    async def bound(self, ref: Object | None, namespace: str, account: str) -> list[Bound]:
        """The objects that the token is bound to: the one asked for and, with a pod, the pod's node."""
        if not ref:
            return []
        bindable = BINDABLE.get((ref.get("apiVersion", "v1"), ref.get("kind", "")))
        if bindable is None:
            raise BadRequest(f"cannot bind token to object of type {ref.get('apiVersion', '')}, "
                             f"Kind={ref.get('kind', '')}")
        obj = await self.registry.get(bindable, namespace if bindable.namespaced else "", ref.get("name", ""))
        uid = obj["metadata"]["uid"]
        if ref.get("uid") and ref["uid"] != uid:
            raise conflict("", bindable.plural, ref["name"],
                           f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. "
                           "The object might have been deleted and then recreated")
        bound = [Bound(bindable.kind.lower(), ref["name"], uid)]
        if bindable.kind == "Pod":
            if obj["spec"].get("serviceAccountName") != account:
                raise BadRequest(f'cannot bind token for serviceaccount "{account}" to pod running with different '
                                 "serviceaccount name.")
            bound += self.node_of(obj)
        return bound

    def node_of(self, pod: Object) -> list[Bound]:
        name = pod["spec"].get("nodeName")
        node = self.registry.peek(NODE, "", name) if name else None
        return [Bound("node", name, node["metadata"]["uid"] if node else "")] if name else []


def check_name(wanted: Object, namespace: str, name: str) -> None:
    metadata = wanted.get("metadata") or {}
    for what, given, expected in (("name", metadata.get("name"), name),
                                  ("namespace", metadata.get("namespace"), namespace)):
        if given and given != expected:
            raise BadRequest(f"the {what} of the object ({given}) does not match the {what} on the URL ({expected})")


def check_seconds(given: int | None) -> Seconds:
    """The lifetime asked for, an hour where none is. Raises Invalid."""
    seconds = DEFAULT_SECONDS if given is None else given
    wrong = ("may not specify a duration less than 10 minutes" if seconds < SHORTEST
             else "may not specify a duration larger than 2^32 seconds" if seconds > LONGEST else "")
    if wrong:
        raise invalid("authentication.k8s.io", "TokenRequest", "", [
            Cause("FieldValueInvalid", "spec.expirationSeconds", f"Invalid value: {seconds}: {wrong}")])
    return seconds


async def serve(server: ApiServer, request: Request) -> Answer | None:
    from timonier.apiserver import answers, bodies

    wanted = bodies.decode(request, TOKEN_REQUEST)
    attributes = request.attributes(operation=CREATE)
    await server.registry.admission.admit(attributes, wanted, None)
    await server.registry.admission.validate(attributes, wanted, None)
    made = await server.tokens.issue(wanted, request.namespace, request.name)
    return answers.of_object(request, TOKEN_REQUEST, made, server.clock.now(), 201)
