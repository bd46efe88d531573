"""The controls of level restricted, beside those of baseline: what a pod needs no right to."""

from __future__ import annotations

from timonier.api.podsecurity.baseline import PROFILES, profile, seccomp
from timonier.api.podsecurity.pods import Control, Pod, Violation, listed, names, quoted, security, setters, several

VOLUMES = frozenset({"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
                     "projected", "secret"})


def not_on_windows(control: Control) -> Control:
    """The control, for pods that do not say that they are for Windows, where what it demands means nothing."""
    return lambda pod: None if pod.windows else control(pod)


def unless_in_user_namespace(control: Control) -> Control:
    """The control, for pods whose users are the node's users."""
    return lambda pod: None if pod.in_user_namespace else control(pod)


def privilege_escalation(pod: Pod) -> Violation | None:
    bad = names(each for each in pod.containers if security(each).get("allowPrivilegeEscalation") is not False)
    return Violation("allowPrivilegeEscalation != false",
                     f"{listed(bad)} must set securityContext.allowPrivilegeEscalation=false") if bad else None


def capabilities(pod: Pod) -> Violation | None:
    keeping, adding, added = [], [], set[str]()
    for container in pod.containers:
        found = security(container).get("capabilities") or {}
        if "ALL" not in (found.get("drop") or ()):
            keeping.append(container["name"])
        if wrong := set(found.get("add") or ()) - {"NET_BIND_SERVICE"}:
            adding.append(container["name"])
            added |= wrong
    details = [f'{listed(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    if adding:
        details.append(f"{listed(adding)} must not include {quoted(sorted(added))} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def volumes(pod: Pod) -> Violation | None:
    bad = [(volume["name"], next((kind for kind in volume if kind != "name"), "unknown"))
           for volume in pod.spec.get("volumes") or () if not VOLUMES & volume.keys()]
    if not bad:
        return None
    kinds = sorted({kind for _, kind in bad})
    return Violation("restricted volume types",
                     f"{several(len(bad), 'volume', 'volumes')} {quoted(name for name, _ in bad)} "
                     f"{several(len(bad), 'uses', 'use')} "
                     f"{several(len(kinds), 'restricted volume type', 'restricted volume types')} {quoted(kinds)}")


def run_as_non_root(pod: Pod) -> Violation | None:
    reason, of_pod = "runAsNonRoot != true", pod.security.get("runAsNonRoot")
    bad = names(each for each in pod.containers if security(each).get("runAsNonRoot") is False)
    if bad or of_pod is False:
        return Violation(reason, f"{setters(of_pod is False, bad)} must not set securityContext.runAsNonRoot=false")
    silent = names(each for each in pod.containers if security(each).get("runAsNonRoot") is None)
    if silent and not of_pod:
        return Violation(reason, f"pod or {listed(silent)} must set securityContext.runAsNonRoot=true")
    return None


def run_as_user(pod: Pod) -> Violation | None:
    bad, of_pod = names(each for each in pod.containers if security(each).get("runAsUser") == 0), \
        pod.security.get("runAsUser") == 0
    return Violation("runAsUser=0", f"{setters(of_pod, bad)} must not set runAsUser=0") if bad or of_pod else None


def seccomp_profile(pod: Pod) -> Violation | None:
    """A profile has to be named, by the pod or by each container."""
    if found := seccomp(pod):
        return found
    silent = names(each for each in pod.containers if profile(each) is None)
    if silent and profile(pod.spec) not in PROFILES:
        return Violation("seccompProfile", f"pod or {listed(silent)} must set securityContext.seccompProfile.type to "
                         '"RuntimeDefault" or "Localhost"')
    return None
