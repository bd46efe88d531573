"""What pods say of Windows and of the system that they are for. No node of ours runs Windows; the API knows it all."""

from __future__ import annotations

import re
from collections.abc import Iterator

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj

LARGEST_CREDENTIAL = 64 * 1024
LONGEST_DOMAIN, LONGEST_USER = 256, 104
NETBIOS = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}')
DNS = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*")
NOT_IN_USER = re.compile(r'["/\\:;|=,+*?<>@\[\]]')

LINUX_ONLY = "cannot be set for a windows pod"
OF_POD_SECURITY = ("appArmorProfile", "seLinuxOptions", "seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls",
                   "runAsUser", "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxChangePolicy")
OF_POD = ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace")
OF_CONTAINER_SECURITY = ("appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities",
                         "readOnlyRootFilesystem", "privileged", "allowPrivilegeEscalation", "procMount", "runAsUser",
                         "runAsGroup")
SORTS = ("initContainers", "containers", "ephemeralContainers")


def security_contexts(spec: Obj, path: str) -> Iterator[tuple[Obj, str]]:
    """Those of the containers of every sort, and where they are."""
    for sort in SORTS:
        for index, container in enumerate(spec.get(sort, ())):
            if "securityContext" in container:
                yield container["securityContext"], f"{path}.{sort}[{index}].securityContext"


def operating_system(spec: Obj, path: str, causes: Causes) -> None:
    """A pod that names its system has nothing of another's."""
    name = spec["os"].get("name", "")
    if not name:
        causes.required(f"{path}.os.name", "cannot be empty")
    elif name not in ("linux", "windows"):
        causes.unsupported(f"{path}.os", name, ("linux", "windows"))
    elif name == "linux":
        contexts = [(spec.get("securityContext", {}), f"{path}.securityContext"), *security_contexts(spec, path)]
        for given, at in contexts:
            if "windowsOptions" in given:
                causes.forbidden(f"{at}.windowsOptions", "windows options cannot be set for a linux pod")
    else:
        nothing_of_linux(spec, path, causes)


def nothing_of_linux(spec: Obj, path: str, causes: Causes) -> None:
    given = spec.get("securityContext", {})
    for field in OF_POD_SECURITY:
        if field in given:
            causes.forbidden(f"{path}.securityContext.{field}", LINUX_ONLY)
    for field in OF_POD:
        if spec.get(field) or (field in spec and field not in ("hostPID", "hostIPC")):
            causes.forbidden(f"{path}.{field}", LINUX_ONLY)
    for context, at in security_contexts(spec, path):
        for field in OF_CONTAINER_SECURITY:
            if field in context:
                causes.forbidden(f"{at}.{field}", LINUX_ONLY)


def host_processes(spec: Obj, path: str, causes: Causes) -> None:
    """Containers that run as processes of a Windows node: all of a pod's, or none."""
    whole = spec.get("securityContext", {}).get("windowsOptions", {}).get("hostProcess")
    contexts = [(context.get("windowsOptions", {}).get("hostProcess"), at) for context, at in
                security_contexts(spec, path)]
    if not whole and not any(own for own, _ in contexts):
        return
    for own, at in contexts:
        if whole is not None and own is not None and own != whole:
            causes.invalid(f"{at}.windowsOptions.hostProcess", own, "pod hostProcess value must be identical if both "
                           f"are specified, was {str(whole).lower()}")
    every = sum(len(spec.get(sort, ())) for sort in SORTS)
    inherited = every - sum(own is not None for own, _ in contexts) if whole else 0
    acting = inherited + sum(bool(own) for own, _ in contexts)
    if acting and acting != every:
        causes.invalid(path, "",
                       "If pod contains any hostProcess containers then all containers must be HostProcess containers")
    if acting and not spec.get("hostNetwork"):
        causes.invalid(f"{path}.hostNetwork", False,
                       "hostNetwork must be true if pod contains any hostProcess containers")


def windows_options(given: Obj, path: str, causes: Causes) -> None:
    if (name := given.get("gmsaCredentialSpecName")) is not None:
        causes.each_invalid(f"{path}.gmsaCredentialSpecName", name, names.dns_subdomain(name))
    if (credential := given.get("gmsaCredentialSpec")) is not None:
        if not credential:
            causes.invalid(f"{path}.gmsaCredentialSpec", credential, "gmsaCredentialSpec cannot be an empty string")
        elif len(credential) > LARGEST_CREDENTIAL:
            causes.invalid(f"{path}.gmsaCredentialSpec", credential, "gmsaCredentialSpec size must be under 64 KiB")
    if (user := given.get("runAsUserName")) is not None:
        for text in wrong_user(user):
            causes.invalid(f"{path}.runAsUserName", user, text)


def wrong_user(name: str) -> list[str]:
    """What is wrong with a user of Windows: `NAME` or `DOMAIN\\NAME`."""
    parts = name.split("\\")
    if not name:
        return ["runAsUserName cannot be an empty string"]
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        return ["runAsUserName cannot contain control characters"]
    if len(parts) > 2:
        return ["runAsUserName cannot contain more than one backslash"]
    wrong, user = [], parts[-1]
    if len(parts) == 2:
        if len(parts[0]) >= LONGEST_DOMAIN:
            wrong.append(f"runAsUserName's Domain length must be under {LONGEST_DOMAIN} characters")
        if not NETBIOS.fullmatch(parts[0]) and not DNS.fullmatch(parts[0]):
            wrong.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        wrong.append("runAsUserName's User cannot be empty")
    elif len(user) > LONGEST_USER:
        wrong.append(f"runAsUserName's User length must not be longer than {LONGEST_USER} characters")
    if user and not user.strip(". "):
        wrong.append("runAsUserName's User cannot contain only periods or spaces")
    if NOT_IN_USER.search(user):
        wrong.append('runAsUserName\'s User cannot contain the following characters: "/\\:;|=,+*?<>@[]')
    return wrong
