"""Image references as people write them and as runtimes store them: `nginx` is `docker.io/library/nginx:latest`.

Source: the reference grammar of the OCI distribution specification and Docker's familiar names.
"""

from __future__ import annotations

import re

DOCKER_HUB = "docker.io"
NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?")
TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")


class InvalidReference(ValueError):
    """Not the name of an image."""


def split(image: str) -> tuple[str, str, str, str]:
    """Registry, repository, tag and digest of a reference; raises InvalidReference."""
    rest, _, digest = image.partition("@")
    if "@" in image and not DIGEST.fullmatch(digest):
        raise InvalidReference("invalid reference format")
    tag = ""
    if ":" in rest.rpartition("/")[2]:
        rest, _, tag = rest.rpartition(":")
        if not TAG.fullmatch(tag):
            raise InvalidReference("invalid reference format")
    first, slash, path = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        registry = first
    else:
        registry, path = DOCKER_HUB, rest
    if registry == "index.docker.io":
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and path and "/" not in path:
        path = f"library/{path}"
    if not NAME.fullmatch(path) or not HOST.fullmatch(registry):
        lowered = path.lower()
        raise InvalidReference("invalid reference format: repository name must be lowercase"
                               if NAME.fullmatch(lowered) and lowered != path else "invalid reference format")
    return registry, path, tag, digest


def normalise(image: str) -> str:
    """The full name of an image: registry, repository, and tag or digest, `latest` where there is neither."""
    registry, path, tag, digest = split(image)
    if not tag and not digest:
        tag = "latest"
    return f"{registry}/{path}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def tagged(image: str) -> str:
    """The reference as it was written, with `:latest` where it has neither tag nor digest."""
    _, _, tag, digest = split(image)
    return image if tag or digest else f"{image}:latest"


def floats(image: str) -> bool:
    """Whether the reference is to `latest`, explicitly or not, so that its default pull policy is Always."""
    _, _, tag, digest = split(image)
    return not digest and tag in ("", "latest")
