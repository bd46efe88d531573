"""The file that configures plugins: an AdmissionConfiguration, with a PodSecurityConfiguration in it or beside it.

Source: Kubernetes documentation, "Apply Pod Security Standards at the Cluster Level"; apiserver.config.k8s.io/v1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timonier.api.podsecurity.policy import MODES, Policy, policy_of
from timonier.apiserver.admission.pod_security import Exemptions
from timonier.kit.fatal import CannotRun, needed

OPTION = "--admission-control-config-file"
KIND, GROUP = "AdmissionConfiguration", "apiserver.config.k8s.io/"
POD_SECURITY = "pod-security.admission.config.k8s.io/"
EXEMPT = ("usernames", "namespaces", "runtimeClasses")


@dataclass(frozen=True)
class Configuration:
    """What plugins are told."""

    pod_security: Policy = field(default_factory=Policy)
    exemptions: Exemptions = field(default_factory=Exemptions)


def read(path: Path | None) -> Configuration:
    """What a file says; nothing where there is none. Raises CannotRun."""
    if path is None:
        return Configuration()
    document = parsed(path)
    if document.get("kind") != KIND or not str(document.get("apiVersion")).startswith(GROUP):
        raise CannotRun(f"{OPTION} {path}: must be an {KIND} of {GROUP}v1")
    configuration = Configuration()
    for entry in document.get("plugins") or ():
        name = entry.get("name")
        if name != "PodSecurity":
            raise CannotRun(f"{OPTION} {path}: {name} takes no configuration in this server")
        beside = entry.get("path")
        configuration = pod_security(path, parsed(path.parent / beside) if beside else entry.get("configuration") or {})
    return configuration


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


def pod_security(path: Path, document: dict[str, Any]) -> Configuration:
    """Defaults and exemptions of a PodSecurityConfiguration."""
    kind, group = document.get("kind"), str(document.get("apiVersion"))
    if not group.startswith(POD_SECURITY) or kind != "PodSecurityConfiguration":
        raise CannotRun(f"{OPTION} {path}: must be a PodSecurityConfiguration of {POD_SECURITY}v1")
    defaults, exemptions = document.get("defaults") or {}, document.get("exemptions") or {}
    known = {name for mode in MODES for name in (mode, f"{mode}-version")}
    for where, given, allowed in (("defaults", defaults, known), ("exemptions", exemptions, set(EXEMPT))):
        for name in given.keys() - allowed:
            raise CannotRun(f"{OPTION} {path}: unknown field {where}.{name}")
    labels = {f"pod-security.kubernetes.io/{name}": str(value) for name, value in defaults.items()}
    policy, wrong = policy_of(labels, Policy())
    if wrong:
        raise CannotRun(f"{OPTION} {path}: defaults: {wrong[0].message}")
    return Configuration(policy, Exemptions(*(frozenset(exemptions.get(name) or ()) for name in EXEMPT)))
