"""Defaults that are plain values: for each definition, what a field is when it is absent.

Source: Kubernetes v1.37 API reference, "Defaults to …" in the fields' descriptions.
"""

from __future__ import annotations

from typing import Any

CORE = "io.k8s.api.core.v1."
APPS = "io.k8s.api.apps.v1."
OLD_APPS, OLD_EXTENSIONS = "io.k8s.api.apps.v1beta1.", "io.k8s.api.extensions.v1beta1."
BATCH = "io.k8s.api.batch.v1."
AUTOSCALING = "io.k8s.api.autoscaling."
NETWORKING = "io.k8s.api.networking.v1."
DISCOVERY = "io.k8s.api.discovery.v1."
STORAGE = "io.k8s.api.storage.v1."
RBAC = "io.k8s.api.rbac.v1."
RBAC_GROUP = "rbac.authorization.k8s.io"
ADMISSION = "io.k8s.api.admissionregistration.v1."
EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
AGGREGATOR = "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1."
FLOW = "io.k8s.api.flowcontrol.v1."
RESOURCE = "io.k8s.api.resource.v1."
CERTIFICATES = "io.k8s.api.certificates.v1."
SCHEDULING = "io.k8s.api.scheduling.v1."

READABLE = 0o644
FOR_EVER, A_DAY = 2**31 - 1, 24 * 3600
CONTAINER = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
EVERYTHING = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
WEBHOOK = {"failurePolicy": "Fail", "timeoutSeconds": 10} | EVERYTHING
ONE_DEVICE = {"allocationMode": "ExactCount"}

CONSTANTS: dict[str, dict[str, Any]] = {
    CORE + "PodSpec": {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "securityContext": {},
                       "terminationGracePeriodSeconds": 30, "schedulerName": "default-scheduler"},
    CORE + "Container": CONTAINER,
    CORE + "EphemeralContainer": CONTAINER,
    CORE + "ContainerPort": {"protocol": "TCP"},
    CORE + "Probe": {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    CORE + "HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    CORE + "GRPCAction": {"service": ""},
    CORE + "ObjectFieldSelector": {"apiVersion": "v1"},
    CORE + "SecretVolumeSource": {"defaultMode": READABLE},
    CORE + "ConfigMapVolumeSource": {"defaultMode": READABLE},
    CORE + "DownwardAPIVolumeSource": {"defaultMode": READABLE},
    CORE + "ProjectedVolumeSource": {"defaultMode": READABLE},
    CORE + "ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    CORE + "PodCertificateProjection": {"maxExpirationSeconds": A_DAY},
    CERTIFICATES + "PodCertificateRequestSpec": {"maxExpirationSeconds": A_DAY},
    CORE + "FileKeySelector": {"optional": False},
    CORE + "HostPathVolumeSource": {"type": ""},
    CORE + "ISCSIVolumeSource": {"iscsiInterface": "default"},
    CORE + "ISCSIPersistentVolumeSource": {"iscsiInterface": "default"},
    CORE + "RBDVolumeSource": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    CORE + "RBDPersistentVolumeSource": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    CORE + "AzureDiskVolumeSource": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    CORE + "ScaleIOVolumeSource": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
    CORE + "ScaleIOPersistentVolumeSource": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
    CORE + "Secret": {"type": "Opaque"},
    CORE + "EndpointPort": {"protocol": "TCP"},
    CORE + "PersistentVolumeSpec": {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
    CORE + "PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
    CORE + "ReplicationControllerSpec": {"replicas": 1},
    APPS + "DeploymentSpec": {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600},
    APPS + "ReplicaSetSpec": {"replicas": 1},
    OLD_APPS + "DeploymentSpec": {"replicas": 1, "revisionHistoryLimit": 2, "progressDeadlineSeconds": 600},
    OLD_APPS + "StatefulSetSpec": {"replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady"},
    OLD_EXTENSIONS + "DeploymentSpec": {"replicas": 1, "revisionHistoryLimit": FOR_EVER,
                                        "progressDeadlineSeconds": FOR_EVER},
    OLD_EXTENSIONS + "HTTPIngressPath": {"pathType": "ImplementationSpecific"},
    APPS + "DaemonSetSpec": {"revisionHistoryLimit": 10},
    APPS + "StatefulSetSpec": {"replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady"},
    BATCH + "CronJobSpec": {"concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3,
                            "failedJobsHistoryLimit": 1},
    BATCH + "PodFailurePolicyOnPodConditionsPattern": {"status": "True"},
    AUTOSCALING + "v1.HorizontalPodAutoscalerSpec": {"minReplicas": 1},
    AUTOSCALING + "v2.HorizontalPodAutoscalerSpec": {"minReplicas": 1},
    DISCOVERY + "EndpointPort": {"name": "", "protocol": "TCP"},
    NETWORKING + "NetworkPolicyPort": {"protocol": "TCP"},
    NETWORKING + "IngressClassParametersReference": {"scope": "Cluster"},
    STORAGE + "StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
    STORAGE + "CSIDriverSpec": {"attachRequired": True, "podInfoOnMount": False, "storageCapacity": False,
                                "fsGroupPolicy": "ReadWriteOnceWithFSType", "volumeLifecycleModes": ["Persistent"],
                                "requiresRepublish": False, "seLinuxMount": False},
    SCHEDULING + "PriorityClass": {"preemptionPolicy": "PreemptLowerPriority"},
    RBAC + "RoleRef": {"apiGroup": RBAC_GROUP},
    ADMISSION + "ValidatingWebhook": WEBHOOK,
    ADMISSION + "MutatingWebhook": WEBHOOK | {"reinvocationPolicy": "Never"},
    ADMISSION + "RuleWithOperations": {"scope": "*"},
    ADMISSION + "NamedRuleWithOperations": {"scope": "*"},
    ADMISSION + "ServiceReference": {"port": 443},
    ADMISSION + "MatchResources": EVERYTHING,
    ADMISSION + "ValidatingAdmissionPolicySpec": {"failurePolicy": "Fail"},
    ADMISSION + "MutatingAdmissionPolicySpec": {"failurePolicy": "Fail"},
    EXTENSIONS + "CustomResourceDefinitionSpec": {"conversion": {"strategy": "None"}},
    EXTENSIONS + "ServiceReference": {"port": 443},
    AGGREGATOR + "ServiceReference": {"port": 443},
    FLOW + "FlowSchemaSpec": {"matchingPrecedence": 1000},
    FLOW + "LimitedPriorityLevelConfiguration": {"nominalConcurrencyShares": 30, "lendablePercent": 0},
    FLOW + "ExemptPriorityLevelConfiguration": {"nominalConcurrencyShares": 0, "lendablePercent": 0},
    FLOW + "QueuingConfiguration": {"queues": 64, "handSize": 8, "queueLengthLimit": 50},
    RESOURCE + "ExactDeviceRequest": ONE_DEVICE,
    RESOURCE + "DeviceSubRequest": ONE_DEVICE,
    RESOURCE + "DeviceToleration": {"operator": "Equal"},
}
