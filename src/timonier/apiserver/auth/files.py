"""Configuration files of access: YAML of one kind, read strictly, so that a misspelt field does not go unnoticed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from timonier.api.errors import Cause
from timonier.kit.fatal import CannotRun, needed

T = TypeVar("T")
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A part of a configuration: what it does not know is refused."""


def read(path: Path, kind: str, versions: Sequence[str], form: type[T]) -> T:
    """The file as a Struct of its fields, `apiVersion` and `kind` apart. Raises CannotRun."""
    with needed(f"cannot read the {kind}"):
        text = path.read_text()
    try:
        document = yaml.load(text, Loader=LOADER)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise CannotRun(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or document.pop("kind", None) != kind \
            or document.pop("apiVersion", None) not in [f"apiserver.config.k8s.io/{version}" for version in versions]:
        raise CannotRun(f"{path} is no {kind} of apiserver.config.k8s.io/{versions[0]}")
    try:
        return msgspec.convert(document, form)
    except msgspec.ValidationError as error:
        raise CannotRun(f"{path}: strict decoding error: {error}") from error


def refuse(path: Path | str, causes: Sequence[Cause]) -> None:
    """Raise CannotRun with everything that is wrong."""
    if causes:
        raise CannotRun(f"{path}: " + "; ".join(f"{cause.field}: {cause.message}" for cause in causes))
