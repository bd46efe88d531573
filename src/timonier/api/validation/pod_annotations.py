"""Annotations of pods that mean something: what they say is checked, and must not contradict the fields after them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.paths import local_path

MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
LOCAL = "localhost/"
SECCOMP_NAMES = {"RuntimeDefault": ("runtime/default", "docker/default"), "Unconfined": ("unconfined",)}
APP_ARMOR_NAMES = {"RuntimeDefault": ("runtime/default",), "Unconfined": ("unconfined",)}
MEANT = re.compile(r"controller\.kubernetes\.io/pod-deletion-cost|(container\.)?seccomp\.security\.alpha\."
                   r"|container\.apparmor\.security\.beta\.")
SORTS = ("initContainers", "containers", "ephemeralContainers")


def pod_annotations(given: Mapping[str, str], spec: Obj, path: str, causes: Causes) -> None:
    """What the annotations of a pod, or of its template, say."""
    for key, value in given.items():
        if not MEANT.match(key):
            continue
        if key == SECCOMP_POD or key.startswith(SECCOMP_CONTAINER):
            seccomp_name(value, f"{path}.{key}", causes)
        elif key.startswith(APP_ARMOR):
            app_armor(key, value, spec, f"{path}[{key}]", causes)
        elif key == DELETION_COST and not is_int32(value):
            causes.invalid(f"{path}[{key}]", value, "must be a 32bit integer")


def is_int32(text: str) -> bool:
    """A number as Go reads it, without a leading plus or zeros."""
    return re.fullmatch("0|-?[1-9][0-9]*", text, re.ASCII) is not None and -2**31 <= int(text) < 2**31


def seccomp_name(value: str, path: str, causes: Causes) -> None:
    if value.startswith(LOCAL):
        local_path(value.removeprefix(LOCAL), path, causes)
    elif value not in ("runtime/default", "docker/default", "unconfined"):
        causes.invalid(path, value, "must be a valid seccomp profile")


def app_armor(key: str, value: str, spec: Obj, path: str, causes: Causes) -> None:
    name = key.removeprefix(APP_ARMOR)
    if name not in {container.get("name") for sort in SORTS for container in spec.get(sort, ())}:
        causes.invalid(path, name, "container not found")
    if value and value not in ("runtime/default", "unconfined") and not value.startswith(LOCAL):
        causes.invalid(path, value, f'invalid AppArmor profile name: "{value}"')


def matching_fields(given: Mapping[str, str], spec: Obj, path: str, causes: Causes) -> None:
    """Where an annotation and the field after it are both there, they say the same."""
    if not any(MEANT.match(key) for key in given):
        return
    security = spec.get("securityContext", {})
    if SECCOMP_POD in given:
        match_profile(given[SECCOMP_POD], security.get("seccompProfile"), SECCOMP_NAMES, "seccomp",
                      f"{path}.securityContext.seccompProfile", causes)
    for container, at in each_container(spec, path):
        annotation = given.get(SECCOMP_CONTAINER + container.get("name", ""))
        match_profile(annotation, container.get("securityContext", {}).get("seccompProfile"), SECCOMP_NAMES, "seccomp",
                      f"{at}.securityContext.seccompProfile", causes)
    if spec.get("os", {}).get("name") == "windows":
        return
    for container, at in each_container(spec, path):
        profile = container.get("securityContext", {}).get("appArmorProfile", security.get("appArmorProfile"))
        match_profile(given.get(APP_ARMOR + container.get("name", "")), profile, APP_ARMOR_NAMES, "apparmor",
                      f"{at}.securityContext.appArmorProfile", causes)


def each_container(spec: Obj, path: str) -> Iterator[tuple[Obj, str]]:
    for sort in SORTS:
        for index, container in enumerate(spec.get(sort, ())):
            yield container, f"{path}.{sort}[{index}]"


def match_profile(annotation: str | None, profile: Obj | None, known: Mapping[str, tuple[str, ...]], what: str,
                  path: str, causes: Causes) -> None:
    if annotation is None or profile is None:
        return
    kind = profile.get("type", "")
    if kind == "Localhost":
        if not annotation.startswith(LOCAL):
            causes.forbidden(f"{path}.type", f"{what} type in annotation and field must match")
        elif annotation.removeprefix(LOCAL) != profile.get("localhostProfile"):
            causes.forbidden(f"{path}.localhostProfile", f"{what} profile in annotation and field must match")
    elif kind in known and annotation not in known[kind]:
        causes.forbidden(f"{path}.type", f"{what} type in annotation and field must match")
