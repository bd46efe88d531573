"""What `kubectl get` shows."""

import pytest

from timonier.api.kinds import BY_ID, KINDS
from timonier.api.times import rfc3339
from timonier.apiserver.tables import table
from timonier.apiserver.tables.durations import human

NOW = 1_700_000_000.0


def ago(seconds):
    return rfc3339(NOW - seconds)


def shown(kind_id, obj, *, wide=False):
    """The cells by heading, as kubectl prints them."""
    obj.setdefault("metadata", {}).setdefault("name", "x")
    obj["metadata"].setdefault("creationTimestamp", ago(300))
    made = table(BY_ID[kind_id], [obj], NOW)
    cells = made["rows"][0]["cells"]
    return {column["name"]: cell for column, cell in zip(made["columnDefinitions"], cells, strict=True)
            if wide or not column["priority"]}


@pytest.mark.parametrize(("seconds", "text"), [
    (-5, "<invalid>"), (-0.5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (303, "5m3s"), (599, "9m59s"), (600, "10m"),
    (10799, "179m"), (10800, "3h"), (12300, "3h25m"), (28799, "7h59m"), (28800, "8h"), (172799, "47h"), (172800, "2d"),
    (187200, "2d4h"), (691199, "7d23h"), (691200, "8d"), (62_985_600, "729d"), (63_072_000, "2y"),
    (104_803_200, "3y118d"), (260_000_000, "8y")])
def test_durations_read_as_kubectl_users_know_them(seconds, text):
    assert human(seconds) == text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_every_kind_has_a_table_even_of_an_empty_object(kind):
    made = table(kind, [{"metadata": {"name": "x"}}], NOW)
    assert len(made["columnDefinitions"]) == len(made["rows"][0]["cells"])
    assert any(column["format"] == "name" for column in made["columnDefinitions"])


def container(name="c", **state):
    extra = {key: state.pop(key) for key in ("ready", "restartCount", "lastState", "started") if key in state}
    return {"name": name, "state": state, "ready": False, "restartCount": 0, **extra}


def pod(*statuses, phase="Running", initial=(), sidecars=(), deleted=False, **status):
    first = [{"name": s["name"], "restartPolicy": "Always" if s["name"] in sidecars else None} for s in initial]
    return {"metadata": {"name": "web", **({"deletionTimestamp": ago(1)} if deleted else {})},
            "spec": {"containers": [{"name": status["name"], "image": "i"} for status in statuses] or [{"name": "c"}],
                     "initContainers": first},
            "status": {"phase": phase, "containerStatuses": list(statuses), "initContainerStatuses": list(initial),
                       **status}}


RUNNING = {"running": {"startedAt": ago(60)}, "ready": True}


@pytest.mark.parametrize(("given", "ready", "status"), [
    pytest.param(pod(phase="Pending"), "0/1", "Pending", id="pending"),
    pytest.param(pod(container(**RUNNING), container("d", running={})), "1/2", "Running", id="one-of-two-ready"),
    pytest.param(pod(container(waiting={"reason": "ContainerCreating"}), phase="Pending"), "0/1", "ContainerCreating",
                 id="creating"),
    pytest.param(pod(container(waiting={"reason": "CrashLoopBackOff"})), "0/1", "CrashLoopBackOff", id="crash-loop"),
    pytest.param(pod(container(waiting={"reason": "ImagePullBackOff"}), phase="Pending"), "0/1", "ImagePullBackOff",
                 id="no-image"),
    pytest.param(pod(container(terminated={"exitCode": 0, "reason": "Completed"}), phase="Succeeded"), "0/1",
                 "Completed", id="completed"),
    pytest.param(pod(container(terminated={"exitCode": 1, "reason": "Error"}), phase="Failed"), "0/1", "Error",
                 id="error"),
    pytest.param(pod(container(terminated={"exitCode": 3}), phase="Failed"), "0/1", "ExitCode:3", id="exit-code"),
    pytest.param(pod(container(terminated={"signal": 9}), phase="Failed"), "0/1", "Signal:9", id="signal"),
    pytest.param(pod(container(terminated={"exitCode": 0, "reason": "Completed"}), container("d", **RUNNING)), "1/2",
                 "NotReady", id="one-done-one-runs"),
    pytest.param(pod(container(**RUNNING), deleted=True), "1/1", "Terminating", id="terminating"),
    pytest.param(pod(container(terminated={"reason": "Completed"}), phase="Succeeded", deleted=True), "0/1",
                 "Completed", id="finished-pods-do-not-terminate"),
    pytest.param(pod(container(**RUNNING), deleted=True, reason="NodeLost"), "1/1", "Unknown", id="node-lost"),
    pytest.param(pod(phase="Failed", reason="Evicted"), "0/1", "Evicted", id="evicted"),
    pytest.param(pod(container(waiting={"reason": "PodInitializing"}), phase="Pending",
                     initial=[container("a", terminated={"exitCode": 0}), container("b", running={})]),
                 "0/1", "Init:1/2", id="second-init-container"),
    pytest.param(pod(phase="Pending", initial=[container("a", waiting={"reason": "PodInitializing"})]), "0/1",
                 "Init:0/1", id="init-not-begun"),
    pytest.param(pod(phase="Pending", initial=[container("a", waiting={"reason": "CrashLoopBackOff"})]), "0/1",
                 "Init:CrashLoopBackOff", id="init-crashes"),
    pytest.param(pod(phase="Pending", initial=[container("a", terminated={"exitCode": 2})]), "0/1", "Init:ExitCode:2",
                 id="init-failed"),
    pytest.param(pod(container(waiting={"reason": "PodInitializing"}), phase="Pending",
                     initial=[container("a", terminated={"exitCode": 0, "reason": "Completed"})]),
                 "0/1", "PodInitializing", id="initialised"),
    pytest.param(pod(container(**RUNNING), sidecars=("s",), initial=[container("s", started=True, **RUNNING)]), "2/2",
                 "Running", id="sidecar-counts"),
    pytest.param(pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "False",
                                                   "reason": "SchedulingGated"}]), "0/1", "SchedulingGated",
                 id="gated"),
])
def test_pods_are_summed_up_in_one_word(given, ready, status):
    cells = shown("v1/Pod", given)
    assert (cells["Ready"], cells["Status"]) == (ready, status)


def test_restarts_tell_when_the_last_one_was():
    restarted = {"terminated": {"finishedAt": ago(300), "exitCode": 1}}
    given = pod(container(restartCount=1, lastState=restarted, **RUNNING))
    assert shown("v1/Pod", given)["Restarts"] == "1 (5m ago)"
    assert shown("v1/Pod", pod(container(**RUNNING)))["Restarts"] == "0"


def test_wide_pods_show_where_they_are():
    given = pod(container(**RUNNING), podIP="10.244.0.5", podIPs=[{"ip": "10.244.0.5"}])
    given["spec"]["nodeName"] = "n1"
    cells = shown("v1/Pod", given, wide=True)
    assert list(cells) == ["Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node",
                           "Readiness Gates"]
    assert (cells["IP"], cells["Node"], cells["Nominated Node"], cells["Readiness Gates"]) == (
        "10.244.0.5", "n1", "<none>", "<none>")


def test_finished_pods_carry_a_row_condition():
    made = table(BY_ID["v1/Pod"], [pod(phase="Succeeded"), pod()], NOW)
    assert made["rows"][0]["conditions"][0]["type"] == "Completed"
    assert "conditions" not in made["rows"][1]


def test_rows_carry_as_much_of_the_object_as_was_asked_for():
    given = [{"metadata": {"name": "x"}, "data": {"a": "b"}}]
    kind = BY_ID["v1/ConfigMap"]
    assert "object" not in table(kind, given, NOW, "None")["rows"][0]
    assert table(kind, given, NOW, "Object")["rows"][0]["object"] == given[0]
    assert table(kind, given, NOW)["rows"][0]["object"] == {
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "x"}}


TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2"}]}}


@pytest.mark.parametrize(("kind_id", "given", "expected"), [
    pytest.param("apps/v1/Deployment",
                 {"spec": {"replicas": 3, "template": TEMPLATE, "selector": {"matchLabels": {"app": "web"}}},
                  "status": {"readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2}},
                 {"Name": "x", "Ready": "2/3", "Up-to-date": 1, "Available": 2, "Age": "5m", "Containers": "a,b",
                  "Images": "x:1,y:2", "Selector": "app=web"}, id="deployment"),
    pytest.param("apps/v1/ReplicaSet",
                 {"spec": {"replicas": 3, "template": TEMPLATE, "selector": {
                     "matchExpressions": [{"key": "tier", "operator": "In", "values": ["b", "a"]},
                                          {"key": "old", "operator": "DoesNotExist"}]}}, "status": {"replicas": 2}},
                 {"Name": "x", "Desired": 3, "Current": 2, "Ready": 0, "Age": "5m", "Containers": "a,b",
                  "Images": "x:1,y:2", "Selector": "!old,tier in (a,b)"}, id="replicaset"),
    pytest.param("v1/Service",
                 {"spec": {"type": "NodePort", "clusterIP": "10.96.0.7", "selector": {"app": "web"},
                           "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"},
                                     {"port": 53, "protocol": "UDP"}]}},
                 {"Name": "x", "Type": "NodePort", "Cluster-IP": "10.96.0.7", "External-IP": "<none>",
                  "Port(s)": "80:30080/TCP,53/UDP", "Age": "5m", "Selector": "app=web"}, id="node-port"),
    pytest.param("v1/Service", {"spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.7"}},
                 {"Name": "x", "Type": "LoadBalancer", "Cluster-IP": "10.96.0.7", "External-IP": "<pending>",
                  "Port(s)": "<none>", "Age": "5m", "Selector": "<none>"}, id="balancer-pending"),
    pytest.param("v1/Service", {"spec": {"type": "ExternalName", "externalName": "example.com"}},
                 {"Name": "x", "Type": "ExternalName", "Cluster-IP": "<none>", "External-IP": "example.com",
                  "Port(s)": "<none>", "Age": "5m", "Selector": "<none>"}, id="external-name"),
    pytest.param("v1/Node",
                 {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "worker"}},
                  "spec": {"unschedulable": True},
                  "status": {"conditions": [{"type": "Ready", "status": "Unknown"}],
                             "addresses": [{"type": "InternalIP", "address": "10.89.0.2"}],
                             "nodeInfo": {"kubeletVersion": "v1.37.0", "osImage": "Debian", "kernelVersion": "6.1",
                                          "containerRuntimeVersion": "containerd://1.6.20"}}},
                 {"Name": "x", "Status": "NotReady,SchedulingDisabled", "Roles": "control-plane,worker", "Age": "5m",
                  "Version": "v1.37.0", "Internal-IP": "10.89.0.2", "External-IP": "<none>", "OS-Image": "Debian",
                  "Kernel-Version": "6.1", "Container-Runtime": "containerd://1.6.20"}, id="node"),
    pytest.param("v1/Endpoints",
                 {"subsets": [{"addresses": [{"ip": f"10.0.0.{i}"} for i in range(5)], "ports": [{"port": 80}]}]},
                 {"Name": "x", "Endpoints": "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more...", "Age": "5m"},
                 id="endpoints"),
    pytest.param("discovery.k8s.io/v1/EndpointSlice",
                 {"addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": ["10.0.0.1"]}]},
                 {"Name": "x", "AddressType": "IPv4", "Ports": "80", "Endpoints": "10.0.0.1", "Age": "5m"}, id="slice"),
    pytest.param("batch/v1/Job",
                 {"spec": {"completions": 3, "template": TEMPLATE}, "status": {
                     "succeeded": 3, "startTime": ago(200), "completionTime": ago(80),
                     "conditions": [{"type": "Complete", "status": "True"}]}},
                 {"Name": "x", "Status": "Complete", "Completions": "3/3", "Duration": "2m", "Age": "5m",
                  "Containers": "a,b", "Images": "x:1,y:2", "Selector": "<none>"}, id="job"),
    pytest.param("batch/v1/CronJob",
                 {"spec": {"schedule": "* * * * *", "suspend": False, "jobTemplate": {"spec": {"template": TEMPLATE}}},
                  "status": {"active": [{}], "lastScheduleTime": ago(42)}},
                 {"Name": "x", "Schedule": "* * * * *", "Timezone": "<none>", "Suspend": "False", "Active": 1,
                  "Last Schedule": "42s", "Age": "5m", "Containers": "a,b", "Images": "x:1,y:2", "Selector": "<none>"},
                 id="cronjob"),
    pytest.param("v1/Event",
                 {"type": "Warning", "reason": "BackOff", "message": "Back-off restarting\n", "count": 7,
                  "involvedObject": {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{c}"},
                  "source": {"component": "kubelet", "host": "n1"}, "firstTimestamp": ago(600),
                  "lastTimestamp": ago(30)},
                 {"Last Seen": "30s", "Type": "Warning", "Reason": "BackOff", "Object": "pod/web",
                  "Subobject": "spec.containers{c}", "Source": "kubelet, n1", "Message": "Back-off restarting",
                  "First Seen": "10m", "Count": "7", "Name": "x"}, id="event"),
    pytest.param("v1/PersistentVolumeClaim",
                 {"spec": {"volumeName": "pv1", "storageClassName": "fast", "volumeMode": "Filesystem"},
                  "status": {"phase": "Bound", "capacity": {"storage": "1024Mi"}, "accessModes": ["ReadWriteOnce"]}},
                 {"Name": "x", "Status": "Bound", "Volume": "pv1", "Capacity": "1Gi", "Access Modes": "RWO",
                  "StorageClass": "fast", "VolumeAttributesClass": "<unset>", "Age": "5m", "VolumeMode": "Filesystem"},
                 id="claim"),
    pytest.param("storage.k8s.io/v1/StorageClass",
                 {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
                  "provisioner": "p"},
                 {"Name": "x (default)", "Provisioner": "p", "ReclaimPolicy": "Delete",
                  "VolumeBindingMode": "Immediate", "AllowVolumeExpansion": False, "Age": "5m"},
                 id="default-storage-class"),
    pytest.param("networking.k8s.io/v1/Ingress",
                 {"spec": {"ingressClassName": "nginx", "rules": [{"host": "a"}, {"host": "b"}], "tls": [{}]},
                  "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}},
                 {"Name": "x", "Class": "nginx", "Hosts": "a,b", "Address": "1.2.3.4", "Ports": "80, 443", "Age": "5m"},
                 id="ingress"),
    pytest.param("autoscaling/v2/HorizontalPodAutoscaler",
                 {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 5,
                           "metrics": [{"type": "Resource", "resource": {
                               "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]},
                  "status": {"currentReplicas": 2, "currentMetrics": [
                      {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 12}}}]}},
                 {"Name": "x", "Reference": "Deployment/web", "Targets": "cpu: 12%/80%", "MinPods": 1, "MaxPods": 5,
                  "Replicas": 2, "Age": "5m"}, id="autoscaler"),
    pytest.param("rbac.authorization.k8s.io/v1/RoleBinding",
                 {"roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": [
                     {"kind": "User", "name": "ann"}, {"kind": "ServiceAccount", "namespace": "ns", "name": "sa"}]},
                 {"Name": "x", "Role": "ClusterRole/view", "Age": "5m", "Users": "ann", "Groups": "",
                  "ServiceAccounts": "ns/sa"}, id="role-binding"),
    pytest.param("certificates.k8s.io/v1/CertificateSigningRequest",
                 {"spec": {"signerName": "s", "username": "u", "expirationSeconds": 3600},
                  "status": {"conditions": [{"type": "Approved"}], "certificate": "Zm9v"}},
                 {"Name": "x", "Age": "5m", "SignerName": "s", "Requestor": "u", "RequestedDuration": "60m",
                  "Condition": "Approved,Issued"}, id="csr"),
    pytest.param("rbac.authorization.k8s.io/v1/ClusterRole", {}, {"Name": "x", "Created At": ago(300)}, id="plain"),
])
def test_columns_are_those_that_kubectl_users_know(kind_id, given, expected):
    assert shown(kind_id, given, wide=True) == expected
