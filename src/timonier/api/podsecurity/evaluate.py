"""The table of controls, and what they have to say about a pod."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from timonier.api.podsecurity import baseline, restricted
from timonier.api.podsecurity.pods import Control, Pod, Violation
from timonier.api.podsecurity.policy import BASELINE, PRIVILEGED, RESTRICTED, Standard
from timonier.api.podsecurity.restricted import not_on_windows, unless_in_user_namespace


@dataclass(frozen=True)
class Row:
    """A control with its revisions by the minor version in which each began. `instead` names what it takes the place
    of at its level."""

    id: str
    level: str
    revisions: dict[int, Control]
    instead: str = ""

    def at(self, minor: int) -> Control | None:
        since = max((each for each in self.revisions if each <= minor), default=None)
        return None if since is None else self.revisions[since]


CONTROLS = (
    Row("appArmorProfile", BASELINE, {0: baseline.app_armor}),
    Row("capabilities_baseline", BASELINE, {0: baseline.capabilities}),
    Row("hostNamespaces", BASELINE, {0: baseline.host_namespaces}),
    Row("hostPathVolumes", BASELINE, {0: baseline.host_path_volumes}),
    Row("hostPorts", BASELINE, {0: baseline.host_ports}),
    Row("hostProbesAndHostLifecycle", BASELINE, {34: baseline.host_probes}),
    Row("privileged", BASELINE, {0: baseline.privileged}),
    Row("procMount", BASELINE, {0: baseline.proc_mount, 35: baseline.proc_mount_35}),
    Row("seLinuxOptions", BASELINE, {0: baseline.selinux_of(baseline.SELINUX_TYPES),
                                     31: baseline.selinux_of(baseline.SELINUX_TYPES_31)}),
    Row("seccompProfile_baseline", BASELINE, {0: baseline.seccomp_annotations, 19: baseline.seccomp}),
    Row("sysctls", BASELINE, {0: baseline.sysctls_of(baseline.SYSCTLS), 27: baseline.sysctls_of(baseline.SYSCTLS_27),
                              29: baseline.sysctls_of(baseline.SYSCTLS_29),
                              32: baseline.sysctls_of(baseline.SYSCTLS_32),
                              37: baseline.sysctls_of(baseline.SYSCTLS_37)}),
    Row("windowsHostProcess", BASELINE, {0: baseline.windows_host_process}),
    Row("allowPrivilegeEscalation", RESTRICTED, {8: restricted.privilege_escalation,
                                                 25: not_on_windows(restricted.privilege_escalation)}),
    Row("capabilities_restricted", RESTRICTED, {22: restricted.capabilities,
                                                25: not_on_windows(restricted.capabilities)},
        "capabilities_baseline"),
    Row("procMount_restricted", RESTRICTED, {35: baseline.proc_mount}, "procMount"),
    Row("restrictedVolumes", RESTRICTED, {0: restricted.volumes}, "hostPathVolumes"),
    Row("runAsNonRoot", RESTRICTED, {0: restricted.run_as_non_root,
                                     35: unless_in_user_namespace(restricted.run_as_non_root)}),
    Row("runAsUser", RESTRICTED, {23: restricted.run_as_user, 35: unless_in_user_namespace(restricted.run_as_user)}),
    Row("seccompProfile_restricted", RESTRICTED, {19: restricted.seccomp_profile,
                                                  25: not_on_windows(restricted.seccomp_profile)},
        "seccompProfile_baseline"),
)
"""In the order in which violations are told."""


@cache
def controls(level: str, minor: int) -> Sequence[Control]:
    """The controls of a level in a version."""
    levels = {PRIVILEGED: (), BASELINE: (BASELINE,), RESTRICTED: (BASELINE, RESTRICTED)}[level]
    found = [(row, control) for row in CONTROLS if row.level in levels and (control := row.at(minor)) is not None]
    replaced = {row.instead for row, _ in found}
    return [control for row, control in found if row.id not in replaced]


def violations(standard: Standard, pod: Pod) -> list[Violation]:
    """Everything for which a standard does not allow a pod."""
    return [found for control in controls(standard.level, standard.minor) if (found := control(pod)) is not None]
