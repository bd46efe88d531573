"""From one version of a custom kind to another: by name alone, or as a webhook says.

Source: Kubernetes documentation, "Webhook conversion"; the messages are upstream's.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from timonier.api.errors import ApiError
from timonier.api.patches.clone import clone
from timonier.api.validation.causes import Causes
from timonier.api.validation.metadata import annotation_pairs, labels
from timonier.kit.clock import Seconds

Object = dict[str, Any]

GROUP = "apiextensions.k8s.io"
WITHIN: Seconds = 30.0
"""How long a webhook may take for all objects of one request."""
CARRIED = ("labels", "annotations")
"""The metadata that a webhook may change; all else stays as it was."""


class ConversionFailed(ApiError):
    """An object cannot be shown in the version that was asked for. Kubernetes gives this error no reason."""

    code, reason = 500, ""


class Hooks(Protocol):
    """The way to webhooks (`apiserver.hooks`)."""

    async def post(self, config: Object, content: object, within: Seconds) -> bytes: ...


@dataclass(frozen=True)
class Renaming:
    """Strategy None: every version has the same fields."""

    immediate: bool = True

    def at_once(self, obj: Object, apiVersion: str) -> Object:
        return obj | {"apiVersion": apiVersion}

    async def convert(self, objects: Sequence[Object], apiVersion: str) -> list[Object]:
        return [self.at_once(obj, apiVersion) for obj in objects]


class Unusable(Exception):
    """What a webhook answered is of no use; the message says why."""


@dataclass(frozen=True)
class Webhook:
    """Strategy Webhook: all objects of a request in one call."""

    hooks: Hooks
    config: Object
    """The definition's `spec.conversion.webhook`."""
    immediate: bool = False

    def at_once(self, obj: Object, apiVersion: str) -> Object:
        raise NotImplementedError("a webhook has to be waited for")

    async def convert(self, objects: Sequence[Object], apiVersion: str) -> list[Object]:
        from timonier.apiserver.hooks import NotAnswered

        asked = [obj for obj in objects if obj["apiVersion"] != apiVersion]
        if not asked:
            return list(objects)
        group, _, version = asked[0]["apiVersion"].rpartition("/")
        what = f"conversion webhook for {group}/{version}, Kind={asked[0]['kind']}"
        uid = str(uuid.uuid4())
        try:
            answer = await self.hooks.post(self.config["clientConfig"], self.review(asked, apiVersion, uid), WITHIN)
            converted = answered(answer, uid)
        except (NotAnswered, Unusable) as error:
            raise ConversionFailed(f"{what} failed: {error}") from error
        if len(converted) != len(asked):
            raise ConversionFailed(f"{what} returned {len(converted)} objects, expected {len(asked)}")
        made = iter([self.taken(before, after, apiVersion, what, index)
                     for index, (before, after) in enumerate(zip(asked, converted, strict=True))])
        return [obj if obj["apiVersion"] == apiVersion else next(made) for obj in objects]

    def review(self, objects: Sequence[Object], apiVersion: str, uid: str) -> Object:
        version = next(name for name in self.config["conversionReviewVersions"] if name in ("v1", "v1beta1"))
        return {"kind": "ConversionReview", "apiVersion": f"{GROUP}/{version}", "request": {
            "uid": uid, "desiredAPIVersion": apiVersion, "objects": list(objects)}}

    def taken(self, before: Object, after: Any, apiVersion: str, what: str, index: int) -> Object:
        """A converted object, with its own metadata but for labels and annotations. Raises ConversionFailed."""
        where = f"{what} returned invalid converted object at index {index}: "
        if not isinstance(after, dict):
            raise ConversionFailed(f"{where}it is no object")
        if after.get("apiVersion") != apiVersion:
            raise ConversionFailed(f"{where}invalid groupVersion (expected {apiVersion}, received "
                                f"{after.get('apiVersion', '')})")
        if after.get("kind") != before["kind"]:
            raise ConversionFailed(f"{where}invalid kind (expected {before['kind']}, received {after.get('kind', '')})")
        meta = after.get("metadata")
        if not isinstance(meta, dict):
            raise ConversionFailed(f"{what} returned invalid metadata: missing metadata in converted object")
        for field, name in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
            was, now = before["metadata"].get(field, ""), meta.get(field, "")
            if was != now:
                raise ConversionFailed(f"{where}must have the same {name}: {was} != {now}")
        return after | {"metadata": restored(before["metadata"], meta, what)}


def answered(body: bytes, uid: str) -> list[Any]:
    """The objects of a ConversionReview. Raises Unusable."""
    try:
        review = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unusable(f"the answer is no JSON: {error}") from None
    if not isinstance(review, dict) or not isinstance(response := review.get("response"), dict):
        raise Unusable("no response provided")
    if review.get("apiVersion") == f"{GROUP}/v1" and response.get("uid") != uid:
        raise Unusable(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise Unusable(result.get("message")
                       or f"response.result.status was '{result.get('status', '')}', not 'Success'")
    objects: list[Any] = response.get("convertedObjects") or []
    return objects


def restored(before: Object, after: Object, what: str) -> Object:
    """The metadata of an object with what a webhook made of its labels and annotations. Raises ConversionFailed."""
    metadata = clone(before)
    for field, judge in (("labels", labels), ("annotations", annotation_pairs)):
        given = after.get(field)
        if given is None:
            metadata.pop(field, None)
            continue
        if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
            raise ConversionFailed(f"{what} returned invalid metadata: invalid metadata.{field} in converted object")
        causes = Causes()
        if given != before.get(field):
            judge(given, f"metadata.{field}", causes)
        if causes:
            raise ConversionFailed(f"{what} returned invalid metadata: {', '.join(map(str, causes))}")
        metadata[field] = given
    return metadata


def converter_of(definition: Object, hooks: Hooks) -> Renaming | Webhook:
    """How the objects of a definition are converted."""
    conversion = definition["spec"].get("conversion") or {}
    if conversion.get("strategy") == "Webhook":
        return Webhook(hooks, conversion["webhook"])
    return Renaming()
