"""Security contexts of pods and containers."""

from __future__ import annotations

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj

LARGEST_ID = 2**32 - 1
PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
PROC_MOUNTS = ("Default", "Unmasked")
SYSCTL = r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?([\./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*"
sysctl_name = names.form("must have at most 253 characters and match regex", SYSCTL, longest=253)


def identities(given: Obj, path: str, causes: Causes, *fields: str) -> None:
    for field in fields:
        if (value := given.get(field)) is not None:
            causes.each_invalid(f"{path}.{field}", value, names.in_range(value, 0, LARGEST_ID))


def pod_security(given: Obj, spec: Obj, path: str, causes: Causes) -> None:
    identities(given, path, causes, "fsGroup", "runAsUser", "runAsGroup")
    for index, group in enumerate(given.get("supplementalGroups", ())):
        causes.each_invalid(f"{path}.supplementalGroups[{index}]", group, names.in_range(group, 0, LARGEST_ID))
    policy = given.get("fsGroupChangePolicy")
    if policy is not None and policy not in ("Always", "OnRootMismatch"):
        causes.unsupported(f"{path}.fsGroupChangePolicy", policy, ("Always", "OnRootMismatch"))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        causes.invalid(f"{path.rpartition('.')[0]}.shareProcessNamespace", True,
                       "ShareProcessNamespace and HostPID cannot both be enabled")
    taken: set[str] = set()
    for index, sysctl in enumerate(given.get("sysctls", ())):
        at, name = f"{path}.sysctls[{index}].name", sysctl.get("name", "")
        if not name:
            causes.required(at)
        elif name in taken:
            causes.duplicate(at, name)
        else:
            causes.each_invalid(at, name, sysctl_name(name))
        taken.add(name)
    profiles(given, path, causes)


def profiles(given: Obj, path: str, causes: Causes) -> None:
    for field, name in (("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor")):
        if field not in given:
            continue
        at, kind, local = f"{path}.{field}", given[field].get("type", ""), given[field].get("localhostProfile")
        if not kind:
            causes.required(f"{at}.type", "type is required when seccompProfile is set" if name == "seccomp" else "")
        elif kind not in PROFILE_TYPES:
            causes.unsupported(f"{at}.type", kind, PROFILE_TYPES)
        elif kind == "Localhost" and not local:
            causes.required(f"{at}.localhostProfile", f"must be set when {name} type is Localhost")
        elif kind != "Localhost" and local is not None:
            causes.invalid(f"{at}.localhostProfile", local, f"can only be set when {name} type is Localhost")
        elif local and name == "seccomp":
            if local.startswith("/"):
                causes.invalid(f"{at}.localhostProfile", local, "must be a relative path")
            if ".." in local.split("/"):
                causes.invalid(f"{at}.localhostProfile", local, "must not contain '..'")


def container_security(given: Obj, path: str, causes: Causes) -> None:
    identities(given, path, causes, "runAsUser", "runAsGroup")
    mount = given.get("procMount")
    if mount is not None and mount not in PROC_MOUNTS:
        causes.unsupported(f"{path}.procMount", mount, PROC_MOUNTS)
    profiles(given, path, causes)
    if given.get("allowPrivilegeEscalation") is False:
        if given.get("privileged"):
            causes.invalid(path, given, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
        if "CAP_SYS_ADMIN" in given.get("capabilities", {}).get("add", ()):
            causes.invalid(path, given,
                           "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN")
