"""ImagePolicyWebhook: somebody else is asked whether a pod may run its images, and the answers are kept for a while.

Where it does not answer, the pod is refused, or let pass and that noted in the audit log, as configured.
Source: Kubernetes documentation, "Admission Control in Kubernetes"; imagepolicy.k8s.io/v1alpha1.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from timonier.apiserver.admission.configuration import Document
from timonier.apiserver.admission.contract import CREATE, UPDATE, Plugin, refuse
from timonier.apiserver.auth.kept import Kept
from timonier.apiserver.calls import NoAnswer, Webhook
from timonier.apiserver.request import Attributes, Object
from timonier.kit.clock import Clock, Seconds

log = logging.getLogger(__name__)

KIND = {"apiVersion": "imagepolicy.k8s.io/v1alpha1", "kind": "ImageReview"}
AUDIT = "imagepolicywebhook.image-policy.k8s.io/"
FORWARDED = ".image-policy.k8s.io/"
"""What the keys of those annotations of a pod contain that are sent along."""
REVIEWED = {"": ("containers", "initContainers"), "ephemeralcontainers": ("ephemeralContainers",)}
"""By the subresource through which a pod is written: the containers whose images are asked about."""
KEPT = 1024


@dataclass(frozen=True)
class Settings:
    kubeconfig: Path
    allow_seconds: Seconds = 300.0
    deny_seconds: Seconds = 30.0
    retry_pause: Seconds = 0.5
    default_allow: bool = False


@dataclass(frozen=True)
class ImagePolicyWebhook(Plugin):
    webhook: Webhook
    settings: Settings
    kept: Kept[Object]

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> ImagePolicyWebhook:
        """Raises CannotRun where the kubeconfig file cannot be used."""
        webhook = Webhook.from_file(settings.kubeconfig, clock, pause=settings.retry_pause)
        return cls(webhook, settings, Kept(clock, KEPT))

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource) == ("", "pods") and subresource in REVIEWED and operation in (CREATE, UPDATE)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Raises Forbidden."""
        assert obj is not None
        try:
            status = await self.review(question(attributes, obj))
        except NoAnswer as error:
            log.warning("image policy webhook not answering", extra={"why": str(error)})
            if not self.settings.default_allow:
                raise refuse(attributes, str(error), obj) from error
            attributes.annotate(f"{AUDIT}failed-open", "true")
            return
        for key, value in (status.get("auditAnnotations") or {}).items():
            attributes.annotate(f"{AUDIT}{key}", str(value))
        if status.get("allowed") is not True:
            why = status.get("reason")
            raise refuse(attributes, f"image policy webhook backend denied one or more images: {why}" if why else
                         "one or more images rejected by webhook backend", obj)

    async def review(self, spec: Object) -> Object:
        """The status that is answered, or was lately. Raises NoAnswer."""
        async def ask() -> Object:
            answered = await self.webhook.ask(KIND | {"metadata": {}, "spec": spec, "status": {"allowed": False}})
            status = answered.get("status")
            if not isinstance(status, dict):
                raise NoAnswer("what it answered is not an ImageReview with a status")
            return status

        def holds(status: Object) -> Seconds:
            return self.settings.allow_seconds if status.get("allowed") is True else self.settings.deny_seconds

        return await self.kept.of(orjson.dumps(spec, option=orjson.OPT_SORT_KEYS), ask, holds)


def question(attributes: Attributes, pod: Object) -> Object:
    """The spec of an ImageReview."""
    images = [{"image": container.get("image", "")} for field in REVIEWED[attributes.subresource]
              for container in pod["spec"].get(field) or ()]
    annotations = {key: value for key, value in (pod["metadata"].get("annotations") or {}).items() if FORWARDED in key}
    spec: Object = {"containers": images, "annotations": annotations, "namespace": attributes.namespace}
    return {key: value for key, value in spec.items() if value}


@dataclass(frozen=True, slots=True)
class Span:
    """A number in the configuration that means a time: -1 is none at all, and 0 what is usual."""

    usual: Seconds
    unit: Seconds
    least: Seconds
    most: Seconds
    bounds: str
    """How Kubernetes writes both bounds, of which the lower one is too little already."""

    def read(self, document: Document, name: str, value: Any) -> Seconds:
        """Raises CannotRun."""
        if not isinstance(value, int):
            raise document.wrong(f"imagePolicy.{name} must be a number")
        if value == -1:
            return 0.0
        seconds = value * self.unit
        if value and not self.least < seconds <= self.most:
            raise document.wrong(f"imagePolicy.{name}: valid value is between {self.bounds}, got {seconds:g}s")
        return seconds or self.usual


SPANS = {
    "allowTTL": Span(300.0, 1.0, 1.0, 1800.0, "1s and 30m0s"),
    "denyTTL": Span(30.0, 1.0, 1.0, 1800.0, "1s and 30m0s"),
    "retryBackoff": Span(0.5, 0.001, 0.0, 300.0, "1ns and 5m0s"),
}


def configured(document: Document) -> Settings:
    """What `imagePolicy` says. Raises CannotRun, also where it says nothing."""
    document.known(document.content, ("imagePolicy",))
    given = document.content.get("imagePolicy")
    if not isinstance(given, dict) or not given.get("kubeConfigFile"):
        raise document.wrong("ImagePolicyWebhook needs an imagePolicy with a kubeConfigFile")
    document.known(given, ("kubeConfigFile", "defaultAllow", *SPANS), "imagePolicy.")
    allow, deny, pause = (span.read(document, name, given.get(name) or 0) for name, span in SPANS.items())
    return Settings(document.path.parent / given["kubeConfigFile"], allow, deny, pause,
                    given.get("defaultAllow") is True)
