"""What a namespace demands of its pods: a level and a version for each of the three modes, by its labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from timonier.api.errors import Cause

PREFIX = "pod-security.kubernetes.io/"
PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"
LEVELS = (PRIVILEGED, BASELINE, RESTRICTED)
"""From the least strict to the strictest."""
MODES = ("enforce", "audit", "warn")
LABELS = {mode: (PREFIX + mode, f"{PREFIX}{mode}-version") for mode in MODES}
"""By mode: the label of its level, and that of its version."""
LATEST = "latest"
VERSION = re.compile(r"v1\.([0-9]|[1-9][0-9]*)")
NEWEST = 37
"""The minor version of the newest revision of any control; later versions, and `latest`, mean this one."""


@dataclass(frozen=True, slots=True)
class Standard:
    """A level in a version: `restricted:latest`, `baseline:v1.25`."""

    level: str = PRIVILEGED
    version: str = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"

    @property
    def minor(self) -> int:
        found = VERSION.fullmatch(self.version)
        return min(int(found[1]), NEWEST) if found else NEWEST


@dataclass(frozen=True, slots=True)
class Policy:
    """What is refused, what is told of in the audit log, and what users are warned of."""

    enforce: Standard = Standard()
    audit: Standard = Standard()
    warn: Standard = Standard()

    @property
    def free(self) -> bool:
        """Whether nothing is demanded in any mode."""
        return self.enforce.level == self.audit.level == self.warn.level == PRIVILEGED


def policy_of(labels: Mapping[str, str], defaults: Policy) -> tuple[Policy, list[Cause]]:
    """The policy of a namespace with these labels, and what is wrong with them.

    What cannot be read counts as the strictest for what is enforced, and as nothing for the other modes.
    """
    policy, wrong = defaults, list[Cause]()
    for mode, (of_level, of_version) in LABELS.items():
        if of_level not in labels and of_version not in labels:
            continue
        level, version = labels.get(of_level), labels.get(of_version)
        standard: Standard = getattr(policy, mode)
        if level is not None:
            if level not in LEVELS:
                wrong.append(bad(mode, level, f"must be one of {', '.join(LEVELS)}"))
            fallback = RESTRICTED if mode == "enforce" else PRIVILEGED
            standard = replace(standard, level=level if level in LEVELS else fallback)
        if version is not None:
            known = version == LATEST or VERSION.fullmatch(version) is not None
            if not known:
                wrong.append(bad(f"{mode}-version", version, 'must be "latest" or "v1.x"'))
            standard = replace(standard, version=version if known else LATEST)
        policy = replace(policy, **{mode: standard})
    return policy, wrong


def bad(label: str, value: str, why: str) -> Cause:
    return Cause("FieldValueInvalid", f"metadata.labels[{PREFIX}{label}]", f'Invalid value: "{value}": {why}')
