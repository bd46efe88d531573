"""In what form an answer is wanted: the `Accept` header, as Kubernetes reads it.

Known forms are JSON and YAML, of the object itself, of a Table, or of its metadata alone. Protobuf is not spoken, so a
client that offers it beside JSON gets JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from timonier.api.errors import NotAcceptable
from timonier.apiserver import documents

JSON, YAML = "application/json", "application/yaml"
MEDIA_TYPES = {JSON: JSON, YAML: YAML, "application/*": JSON, "*/*": JSON}
META_VERSIONS = ("v1", "v1beta1")
FORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the client gets: the media type, what to show (empty: the object), in which version of meta.k8s.io."""

    media_type: str = JSON
    form: str = ""
    version: str = "v1"

    @property
    def content_type(self) -> str:
        if not self.form:
            return self.media_type
        return f"{self.media_type};as={self.form};g=meta.k8s.io;v={self.version}"


PLAIN = Accepted()


@lru_cache(maxsize=256)
def accepted(header: str) -> Accepted:
    """The first form of an Accept header that the server has. Raises NotAcceptable."""
    if not header:
        return PLAIN
    for media_type, parameters in documents.accepted(header):
        known = MEDIA_TYPES.get(media_type)
        if known is None:
            continue
        form = parameters.get("as", "")
        if not form:
            return Accepted(known)
        version = parameters.get("v", "v1")
        if form in FORMS and parameters.get("g") == "meta.k8s.io" and version in META_VERSIONS:
            return Accepted(known, form, version)
    raise NotAcceptable(f"only the following media types are accepted: {JSON}, {YAML}")
