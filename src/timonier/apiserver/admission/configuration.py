"""The file that configures plugins: an AdmissionConfiguration, with a document for each plugin in it or beside it.

What a plugin's document says is read by the plugin's own module; here it is found, and told whose it is.
Source: apiserver.config.k8s.io/v1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timonier.kit.fatal import CannotRun, needed

OPTION = "--admission-control-config-file"
KIND, GROUP = "AdmissionConfiguration", "apiserver.config.k8s.io/"


@dataclass(frozen=True)
class Document:
    """What one plugin is told. `path` is the file that it stands in; of no file, it is empty."""

    path: Path = Path()
    content: Mapping[str, Any] = field(default_factory=dict)

    def wrong(self, why: str) -> CannotRun:
        return CannotRun(f"{OPTION} {self.path}: {why}")

    def checked(self, kind: str, groups: Collection[str]) -> Mapping[str, Any]:
        """The content, if it is of that kind in a version of one of the groups. Raises CannotRun."""
        group = str(self.content.get("apiVersion")).partition("/")[0]
        if self.content.get("kind") != kind or group not in groups:
            raise self.wrong(f"must be a {kind} of {' or '.join(groups)}")
        return self.content

    def known(self, given: Mapping[str, Any], fields: Collection[str], where: str = "") -> None:
        """Raises CannotRun for a field that there is not."""
        for name in given:
            if name not in fields:
                raise self.wrong(f"unknown field {where}{name}")

    def objects(self, name: str) -> list[Mapping[str, Any]]:
        """A field that is a list of objects. Raises CannotRun."""
        found = self.content.get(name) or []
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise self.wrong(f"{name} must be a list of objects")
        return found


def read(path: Path | None, configurable: Collection[str]) -> dict[str, Document]:
    """What a file says, by the plugin's name; nothing where there is none. Raises CannotRun."""
    if path is None:
        return {}
    document = parsed(path)
    if document.get("kind") != KIND or not str(document.get("apiVersion")).startswith(GROUP):
        raise CannotRun(f"{OPTION} {path}: must be an {KIND} of {GROUP}v1")
    found: dict[str, Document] = {}
    for entry in document.get("plugins") or ():
        name, beside = entry.get("name"), entry.get("path")
        if name not in configurable:
            raise CannotRun(f"{OPTION} {path}: {name} takes no configuration in this server")
        own = path.parent / beside if beside else path
        found[name] = Document(own, parsed(own) if beside else entry.get("configuration") or {})
    return found


def parsed(path: Path) -> dict[str, Any]:
    import yaml

    with needed(f"cannot read {OPTION}"):
        text = path.read_bytes()
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CannotRun(f"{OPTION} {path}: no YAML: {error}") from error
    if not isinstance(document, dict):
        raise CannotRun(f"{OPTION} {path}: must hold an object")
    return document
