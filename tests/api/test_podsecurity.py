"""The Pod Security Standards: every control at its level, in its versions, with its words."""

from __future__ import annotations

from typing import Any

import pytest

from timonier.api.podsecurity.evaluate import CONTROLS, controls, violations
from timonier.api.podsecurity.pods import Pod
from timonier.api.podsecurity.policy import NEWEST, Policy, Standard, policy_of

SAFE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
GOOD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def pod(*containers: Any, annotations: Any = None, security: Any = None, init: Any = (), **spec: Any) -> Pod:
    """A pod that meets `restricted` but for what the test says."""
    given = [{"name": chr(ord("a") + index)} | each for index, each in enumerate(containers or [{}])]
    listed = [each | {"securityContext": SAFE | each.get("securityContext", {})} for each in given]
    return Pod({"annotations": annotations or {}}, {
        "containers": listed, "initContainers": list(init), "securityContext": GOOD | (security or {})} | spec)


def bare(**spec: Any) -> Pod:
    return Pod({}, {"containers": [{"name": "a"}, {"name": "b"}]} | spec)


def context(**fields: Any) -> dict[str, Any]:
    return {"securityContext": fields}


def judged(level: str, given: Pod, version: str = "latest") -> list[str]:
    return [str(found) for found in violations(Standard(level, version), given)]


@pytest.mark.parametrize(("given", "words"), [
    pytest.param(pod(context(appArmorProfile={"type": "Unconfined"})),
                 'forbidden AppArmor profile (container "a" must not set AppArmor profile type to "Unconfined")',
                 id="apparmor-field"),
    pytest.param(pod(security={"appArmorProfile": {"type": "Unconfined"}}),
                 'forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")',
                 id="apparmor-pod"),
    pytest.param(pod(annotations={"container.apparmor.security.beta.kubernetes.io/a": "unconfined",
                                  "container.apparmor.security.beta.kubernetes.io/b": "bogus",
                                  "container.apparmor.security.beta.kubernetes.io/c": "localhost/x"}),
                 'forbidden AppArmor profiles (container.apparmor.security.beta.kubernetes.io/a="unconfined", '
                 'container.apparmor.security.beta.kubernetes.io/b="bogus")', id="apparmor-annotations"),
    pytest.param(pod(hostNetwork=True, hostPID=True, hostIPC=True),
                 "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)", id="host-namespaces"),
    pytest.param(pod({"ports": [{"hostPort": 80}, {"containerPort": 1}]}, {"ports": [{"hostPort": 443}]}),
                 'hostPort (containers "a", "b" use hostPorts 443, 80)', id="host-ports"),
    pytest.param(pod({"livenessProbe": {"httpGet": {"host": "10.0.0.1"}},
                      "lifecycle": {"preStop": {"tcpSocket": {"host": "other"}}}}),
                 'probe or lifecycle host (container "a" uses probe or lifecycle hosts "10.0.0.1", "other")',
                 id="host-probes"),
    pytest.param(pod(context(privileged=True)),
                 'privileged (container "a" must not set securityContext.privileged=true)', id="privileged"),
    pytest.param(pod(context(procMount="Unmasked")),
                 'procMount (container "a" must not set securityContext.procMount to "Unmasked")', id="proc-mount"),
    pytest.param(pod(context(seLinuxOptions={"type": "spc_t", "user": "u"}), security={
        "seLinuxOptions": {"role": "r"}}),
        'seLinuxOptions (pod and container "a" set forbidden securityContext.seLinuxOptions: type "spc_t"; '
        "user may not be set; role may not be set)", id="selinux"),
    pytest.param(pod(security={"sysctls": [{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_rmem"},
                                           {"name": "net.core.somaxconn"}]}),
                 "forbidden sysctls (kernel.msgmax, net.core.somaxconn)", id="sysctls"),
    pytest.param(pod(context(windowsOptions={"hostProcess": True}), security={"windowsOptions": {"hostProcess": True}}),
                 'hostProcess (pod and container "a" must not set securityContext.windowsOptions.hostProcess=true)',
                 id="host-process"),
])
def test_both_levels_keep_a_pod_in(given, words):
    assert judged("baseline", given) == [words]
    assert judged("restricted", given) == [words]
    assert judged("privileged", given) == []


@pytest.mark.parametrize(("given", "baseline", "restricted"), [
    pytest.param(pod(context(capabilities={"add": ["NET_RAW", "CHOWN"], "drop": ["ALL"]})),
                 'non-default capabilities (container "a" must not include "NET_RAW" in '
                 "securityContext.capabilities.add)",
                 'unrestricted capabilities (container "a" must not include "CHOWN", "NET_RAW" in '
                 "securityContext.capabilities.add)", id="capabilities"),
    pytest.param(pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), 'hostPath volumes (volume "v")',
                 'restricted volume types (volume "v" uses restricted volume type "hostPath")', id="host-path"),
    pytest.param(pod(volumes=[{"name": "v", "nfs": {}}, {"name": "w", "iscsi": {}}, {"name": "x", "image": {}}]), None,
                 'restricted volume types (volumes "v", "w" use restricted volume types "iscsi", "nfs")', id="volumes"),
    pytest.param(pod(context(seccompProfile={"type": "Unconfined"})),
                 'seccompProfile (container "a" must not set securityContext.seccompProfile.type to "Unconfined")',
                 'seccompProfile (container "a" must not set securityContext.seccompProfile.type to "Unconfined")',
                 id="seccomp"),
    pytest.param(pod(context(runAsNonRoot=False), security={"runAsNonRoot": False}), None,
                 'runAsNonRoot != true (pod and container "a" must not set securityContext.runAsNonRoot=false)',
                 id="root"),
    pytest.param(pod(context(runAsUser=0)), None, 'runAsUser=0 (container "a" must not set runAsUser=0)', id="user"),
])
def test_restricted_says_more_about_what_baseline_says_something_about(given, baseline, restricted):
    assert judged("baseline", given) == ([baseline] if baseline else [])
    assert judged("restricted", given) == [restricted]


def test_restricted_tells_a_pod_that_says_nothing_all_that_it_must_say():
    assert judged("baseline", bare()) == []
    assert judged("restricted", bare()) == [
        'allowPrivilegeEscalation != false (containers "a", "b" must set '
        "securityContext.allowPrivilegeEscalation=false)",
        'unrestricted capabilities (containers "a", "b" must set securityContext.capabilities.drop=["ALL"])',
        'runAsNonRoot != true (pod or containers "a", "b" must set securityContext.runAsNonRoot=true)',
        'seccompProfile (pod or containers "a", "b" must set securityContext.seccompProfile.type to "RuntimeDefault" '
        'or "Localhost")']


def test_a_pod_that_says_it_all_meets_every_standard():
    for minor in range(NEWEST + 1):
        assert judged("restricted", pod(), f"v1.{minor}") == []


def test_containers_of_all_sorts_are_judged():
    given = pod(init=[{"name": "i", "securityContext": {"privileged": True}}],
                ephemeralContainers=[{"name": "e", "securityContext": {"privileged": True}}])
    assert judged("baseline", given) == [
        'privileged (containers "i", "e" must not set securityContext.privileged=true)']


@pytest.mark.parametrize(("given", "level", "last", "then"), [
    pytest.param(pod(security={"sysctls": [{"name": "net.ipv4.ip_local_reserved_ports"}]}), "baseline", 26, True,
                 id="reserved-ports"),
    pytest.param(pod(security={"sysctls": [{"name": "net.ipv4.tcp_fin_timeout"}]}), "baseline", 28, True, id="timeout"),
    pytest.param(pod(security={"sysctls": [{"name": "net.ipv4.tcp_wmem"}]}), "baseline", 31, True, id="memory"),
    pytest.param(pod(security={"sysctls": [{"name": "net.ipv4.tcp_notsent_lowat"}]}), "baseline", 36, True, id="lowat"),
    pytest.param(pod(security={"seLinuxOptions": {"type": "container_engine_t"}}), "baseline", 30, True, id="engine"),
    pytest.param(pod({"readinessProbe": {"tcpSocket": {"host": "x"}}}), "baseline", 33, False, id="probes"),
    pytest.param(pod(context(procMount="Unmasked"), hostUsers=False), "baseline", 34, True, id="proc-mount"),
    pytest.param(pod(security={"runAsNonRoot": None}, hostUsers=False), "restricted", 34, True, id="non-root"),
    pytest.param(pod(context(runAsUser=0), hostUsers=False), "restricted", 34, True, id="user"),
    pytest.param(pod(context(runAsUser=0)), "restricted", 22, False, id="no-user-zero"),
    pytest.param(pod(context(capabilities={})), "restricted", 21, False, id="drop-all"),
    pytest.param(pod(context(allowPrivilegeEscalation=True)), "restricted", 7, False, id="escalation"),
    pytest.param(pod(context(allowPrivilegeEscalation=True), os={"name": "windows"}), "restricted", 24, True,
                 id="windows"),
    pytest.param(pod(security={"seccompProfile": None}), "restricted", 18, False, id="seccomp"),
    pytest.param(pod(annotations={"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}), "baseline", 18, True,
                 id="seccomp-annotation"),
])
def test_controls_change_in_the_versions_in_which_they_were_changed(given, level, last, then):
    assert (not judged(level, given, f"v1.{last}")) is not then
    assert (not judged(level, given, f"v1.{last + 1}")) is then


def test_proc_is_never_unmasked_at_the_strictest_level():
    assert judged("restricted", pod(context(procMount="Unmasked"), hostUsers=False)) != []


def test_a_version_of_the_future_means_the_newest():
    assert Standard("baseline", "v1.99").minor == Standard("baseline").minor == NEWEST


def test_every_version_has_each_control_once():
    for minor in range(NEWEST + 1):
        assert len(controls("restricted", minor)) <= len(CONTROLS)
        assert set(controls("baseline", minor)) - set(controls("restricted", minor)) <= {
            row.at(minor) for row in CONTROLS if row.id in ("capabilities_baseline", "procMount", "hostPathVolumes",
                                                           "seccompProfile_baseline")}


def test_labels_say_what_is_demanded_and_the_rest_is_as_it_is_by_default():
    policy, wrong = policy_of({"pod-security.kubernetes.io/enforce": "baseline",
                               "pod-security.kubernetes.io/warn": "restricted",
                               "pod-security.kubernetes.io/warn-version": "v1.30"}, Policy())
    assert (str(policy.enforce), str(policy.warn), str(policy.audit), wrong) == \
        ("baseline:latest", "restricted:v1.30", "privileged:latest", [])


def test_labels_that_cannot_be_read_are_strict_where_it_matters():
    policy, wrong = policy_of({f"pod-security.kubernetes.io/{name}": "bogus" for name in (
        "enforce", "enforce-version", "warn")}, Policy())
    assert (str(policy.enforce), str(policy.warn)) == ("restricted:latest", "privileged:latest")
    assert [str(cause) for cause in wrong] == [
        'metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "bogus": must be one of privileged, '
        "baseline, restricted",
        'metadata.labels[pod-security.kubernetes.io/enforce-version]: Invalid value: "bogus": must be "latest" or '
        '"v1.x"',
        'metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: "bogus": must be one of privileged, '
        "baseline, restricted"]
