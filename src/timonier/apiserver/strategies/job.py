"""Jobs: unless somebody chose it themselves, the selector is made here, of what no other Job has: the uid.

Source: Kubernetes documentation, "Jobs", "Specifying your own Pod selector".
"""

from __future__ import annotations

from typing import Any

from timonier.api.kinds import Kind
from timonier.apiserver.request import User
from timonier.apiserver.strategies.base import Strategy

Object = dict[str, Any]

PREFIX = "batch.kubernetes.io/"
UID, NAME = "controller-uid", "job-name"


class JobStrategy(Strategy):
    def prepare_create(self, kind: Kind, obj: Object, user: User) -> None:
        super().prepare_create(kind, obj, user)
        spec, metadata = obj.setdefault("spec", {}), obj["metadata"]
        if spec.get("manualSelector"):
            return
        template = spec.setdefault("template", {}).setdefault("metadata", {})
        own = {UID: metadata["uid"], NAME: metadata.get("name", "")}
        given = template.get("labels") or {}
        # What the user wrote there stays, so that validation can say that it contradicts.
        template["labels"] = {**{prefix + key: value for prefix in (PREFIX, "") for key, value in own.items()}, **given}
        if not metadata.get("labels"):
            metadata["labels"] = dict(template["labels"])  # defaults see to it that a Job is labeled as its pods
        if not spec.get("selector"):
            spec["selector"] = {}
        chosen = spec["selector"].setdefault("matchLabels", {})
        chosen.setdefault(PREFIX + UID, metadata["uid"])
