"""Security contexts of pods and containers."""

from __future__ import annotations

import re

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.paths import local_path
from timonier.api.validation.windows import windows_options

LARGEST_ID = 2**31 - 1
PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
PROC_MOUNTS = ("Default", "Unmasked")
LONGEST_PROFILE = 4095
SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
SYSCTL = re.compile(rf"({SEGMENT}[\./])*{SEGMENT}")
LONGEST_SYSCTL = 253
SYSCTL_TEXT = f"must have at most {LONGEST_SYSCTL} characters and match regex ^{SYSCTL.pattern}$"
NET_SYSCTLS, IPC_SYSCTLS = ("net.",), ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")


def identities(given: Obj, path: str, causes: Causes, *fields: str) -> None:
    for field in fields:
        if (value := given.get(field)) is not None:
            causes.each_invalid(f"{path}.{field}", value, names.in_range(value, 0, LARGEST_ID))


def pod_security(given: Obj, spec: Obj, path: str, causes: Causes) -> None:
    """A pod's own; `spec` is the pod's, since the namespaces that it shares with its node bear on it."""
    if given:
        identities(given, path, causes, "fsGroup", "runAsUser", "runAsGroup")
        for index, group in enumerate(given.get("supplementalGroups", ())):
            causes.each_invalid(f"{path}.supplementalGroups[{index}]", group, names.in_range(group, 0, LARGEST_ID))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        causes.invalid(f"{path}.shareProcessNamespace", True,
                       "ShareProcessNamespace and HostPID cannot both be enabled")
    if given:
        sysctls(given.get("sysctls", ()), spec, f"{path}.sysctls", causes)
        causes.optional(given, path, "fsGroupChangePolicy", ("Always", "OnRootMismatch"))
        seccomp(given, path, causes)
        if "windowsOptions" in given:
            windows_options(given["windowsOptions"], f"{path}.windowsOptions", causes)
        app_armor(given, path, causes)
        causes.optional(given, path, "supplementalGroupsPolicy", ("Merge", "Strict"))
        causes.optional(given, path, "seLinuxChangePolicy", ("MountOption", "Recursive"))


def sysctls(listed: list[Obj], spec: Obj, path: str, causes: Causes) -> None:
    taken: set[str] = set()
    for index, sysctl in enumerate(listed):
        at, name = f"{path}[{index}].name", sysctl.get("name", "")
        if not name:
            causes.required(at)
        elif len(name) > LONGEST_SYSCTL or not SYSCTL.fullmatch(name):
            causes.invalid(at, name, SYSCTL_TEXT)
        elif name in taken:
            causes.duplicate(at, name)
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith(NET_SYSCTLS):
            causes.invalid(at, name, "may not be specified when 'hostNetwork' is true")
        elif spec.get("hostIPC") and dotted.startswith(IPC_SYSCTLS):
            causes.invalid(at, name, "may not be specified when 'hostIPC' is true")
        taken.add(name)


def seccomp(given: Obj, path: str, causes: Causes) -> None:
    if "seccompProfile" not in given:
        return
    profile, at = given["seccompProfile"], f"{path}.seccompProfile"
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        causes.required(f"{at}.type", "type is required when seccompProfile is set")
    elif kind not in PROFILE_TYPES:
        causes.unsupported(f"{at}.type", kind, PROFILE_TYPES)
    if kind != "Localhost":
        if local is not None:
            causes.invalid(f"{at}.localhostProfile", profile, "can only be set when seccomp type is Localhost")
    elif local is None:
        causes.required(f"{at}.localhostProfile", "must be set when seccomp type is Localhost")
    else:
        local_path(local, f"{at}.localhostProfile", causes)


def app_armor(given: Obj, path: str, causes: Causes) -> None:
    if "appArmorProfile" not in given:
        return
    profile, at = given["appArmorProfile"], f"{path}.appArmorProfile"
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        causes.required(f"{at}.type", "type is required when appArmorProfile is set")
    elif kind not in PROFILE_TYPES:
        causes.unsupported(f"{at}.type", kind, PROFILE_TYPES)
    elif kind != "Localhost":
        if local is not None:
            causes.invalid(f"{at}.localhostProfile", local, "can only be set when AppArmor type is Localhost")
    elif not local or not local.strip():
        if local:
            causes.invalid(f"{at}.localhostProfile", local, "must not be padded with whitespace")
        else:
            causes.required(f"{at}.localhostProfile", "must be set when AppArmor type is Localhost")
    elif local.strip() != local:
        causes.invalid(f"{at}.localhostProfile", local, "must not be padded with whitespace")
    if kind == "Localhost" and len(local or "") > LONGEST_PROFILE:
        causes.too_long(f"{at}.localhostProfile", LONGEST_PROFILE)


def container_security(given: Obj, path: str, causes: Causes, *, own_users: bool) -> None:
    """A container's own; `own_users` says whether its pod has users other than its node's."""
    identities(given, path, causes, "runAsUser", "runAsGroup")
    mount = given.get("procMount")
    causes.optional(given, path, "procMount", PROC_MOUNTS)
    if mount == "Unmasked" and not own_users:
        causes.invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`")
    seccomp(given, path, causes)
    if given.get("allowPrivilegeEscalation") is False:
        if given.get("privileged"):
            causes.invalid(path, given, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
        if "CAP_SYS_ADMIN" in given.get("capabilities", {}).get("add", ()):
            causes.invalid(path, given,
                           "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN")
    if "windowsOptions" in given:
        windows_options(given["windowsOptions"], f"{path}.windowsOptions", causes)
    app_armor(given, path, causes)
