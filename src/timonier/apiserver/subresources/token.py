"""serviceaccounts/token: a new token for a service account, for an audience and a time, bound to an object.

`kubectl create token` asks for one, and every kubelet for each pod. What a token says stands in `auth.tokens`.
The token that the kubelet asks for where a pod only mounts its account's holds for a year, though it is read anew
within the hour: clients of old that read it once go on working, and the audit log tells who they are.
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
from timonier.apiserver.admission.service_account import TOKEN_SECONDS
from timonier.apiserver.auth.tokens import Bound, new_claims
from timonier.apiserver.request import Object, Request, Warner, unheard
from timonier.kit.clock import Clock, Seconds
from timonier.kit.jws import Keyring

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
    longest: Seconds = 0.0
    """For how long a token may hold; 0 for no limit but that of the API."""
    extends: bool = True
    """Whether mounted tokens hold for a year."""

    async def issue(self, wanted: Object, namespace: str, name: str, warn: Warner = unheard) -> Object:
        """The TokenRequest with its token. Raises NotFound, Invalid, Conflict or BadRequest."""
        account = await self.registry.get(ACCOUNT, namespace, name)
        check_identity(wanted, account)
        spec = dict(wanted.get("spec") or {})
        spec["audiences"] = list(spec.get("audiences") or self.audiences)
        seconds = spec["expirationSeconds"] = self.limited(check_seconds(spec.get("expirationSeconds")), warn)
        bound = await self.bound(spec.get("boundObjectRef"), namespace, name)
        now = self.clock.now()
        mounted = seconds == TOKEN_SECONDS and {*spec["audiences"]} <= {*self.audiences} \
            and any(each.kind == "pod" for each in bound)
        claims = new_claims(namespace, name, account["metadata"]["uid"], audiences=spec["audiences"], seconds=seconds,
                            now=now, bound=bound, extended=self.extends and mounted)
        metadata = {"name": name, "namespace": namespace, "creationTimestamp": rfc3339(now)}
        status = {"token": self.keys.sign(claims.to_dict(self.issuer)), "expirationTimestamp": rfc3339(now + seconds)}
        return {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": metadata, "spec": spec,
                "status": status}

    def limited(self, seconds: int, warn: Warner) -> int:
        if not 0 < self.longest < seconds:
            return seconds
        warn(f"requested expiration of {seconds} seconds shortened to {self.longest:.0f} seconds")
        return int(self.longest)

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


def check_identity(wanted: Object, account: Object) -> None:
    """Raise BadRequest or Conflict where a request names another account than its path does."""
    metadata, found = wanted.get("metadata") or {}, account["metadata"]
    for what in ("name", "namespace"):
        if metadata.get(what) and metadata[what] != found[what]:
            raise BadRequest(f"the {what} of the object ({metadata[what]}) does not match the {what} on the URL "
                             f"({found[what]})")
    if metadata.get("uid") and metadata["uid"] != found["uid"]:
        raise conflict("authentication.k8s.io", "TokenRequest", found["name"],
                       f"the UID in the token request ({metadata['uid']}) does not match the UID of the service "
                       f"account ({found['uid']})")


def check_seconds(given: int | None) -> int:
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
    made = await server.access.tokens.issue(wanted, request.namespace, request.name, request.warn)
    return answers.of_object(request, TOKEN_REQUEST, made, server.clock.now(), 201)
