"""The smallest object of every built-in kind that the API server takes, without its metadata."""

from __future__ import annotations

import base64
import datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from timonier.api.kinds import KINDS, Kind

Json = dict[str, Any]

LABELS = {"app": "web"}
SELECTOR = {"matchLabels": LABELS}
POD = {"containers": [{"name": "app", "image": "nginx"}]}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": POD}
JOB = {"template": {"spec": POD | {"restartPolicy": "Never"}}}
RULES = {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]}
WEBHOOK = {"name": "hook.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
           "failurePolicy": "Ignore", "clientConfig": {"url": "https://127.0.0.1:1/"},
           "namespaceSelector": {"matchLabels": {"nobody": "here"}}}
ROLE = [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]
SUBJECTS = [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]
QUESTION = {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}}
DRIVER = "gpu.example.com"
CLAIM = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": DRIVER}}]}}
VOLUME = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/x"}}
ABOUT = {"kind": "Pod", "namespace": "default", "name": "web", "apiVersion": "v1"}
WHEN = "2026-01-02T03:04:05.000000Z"
DEFINITION = {
    "group": "example.com", "scope": "Namespaced", "names": {"plural": "names", "singular": "name", "kind": "Name"},
    "versions": [{"name": "v1", "served": True, "storage": True,
                  "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}}]}

NAMES = {"v1/Namespace": "sample", "networking.k8s.io/v1/IPAddress": "10.96.0.200",
         "apiextensions.k8s.io/v1/CustomResourceDefinition": "names.example.com",
         "apiregistration.k8s.io/v1/APIService": "v1.elsewhere.example.com"}
"""Names of the kinds that may not be called `sample`."""


def name_of(kind: Kind) -> str:
    return NAMES.get(kind.id, "sample")


@cache
def keys() -> tuple[str, str, str]:
    """A certificate request, a certificate, and the key of both (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "system:node:a"),
                      x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(1).not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=9999))
                   .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                   .sign(key, hashes.SHA256()))
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return request.public_bytes(pem).decode(), certificate.public_bytes(pem).decode(), private.decode()


def signing_request() -> Json:
    return {"spec": {"request": base64.b64encode(keys()[0].encode()).decode(),
                     "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
                     "usages": ["digital signature", "client auth"]}}


CONTENT: dict[str, Json] = {
    "v1/Binding": {"target": {"kind": "Node", "name": "a"}},
    "v1/ConfigMap": {"data": {"key": "value"}},
    "v1/Endpoints": {"subsets": [{"addresses": [{"ip": "10.0.0.9"}], "ports": [{"port": 80}]}]},
    "v1/Event": {"involvedObject": ABOUT, "reason": "Tested", "message": "m", "type": "Normal"},
    "v1/LimitRange": {"spec": {"limits": [{"type": "Container", "max": {"memory": "64Gi"}}]}},
    "v1/Namespace": {},
    "v1/Node": {},
    "v1/PersistentVolumeClaim": {"spec": {"accessModes": ["ReadWriteOnce"],
                                          "resources": {"requests": {"storage": "1Gi"}}}},
    "v1/PersistentVolume": {"spec": VOLUME},
    "v1/Pod": {"spec": POD},
    "v1/PodTemplate": {"template": TEMPLATE},
    "v1/ReplicationController": {"spec": {"selector": LABELS, "template": TEMPLATE}},
    "v1/ResourceQuota": {"spec": {"hard": {"count/widgets.example.com": "10"}}},
    "v1/Secret": {"stringData": {"key": "value"}},
    "v1/ServiceAccount": {},
    "v1/Service": {"spec": {"selector": LABELS, "ports": [{"port": 80}]}},
    "apps/v1/ControllerRevision": {"revision": 1, "data": {}},
    "apps/v1/DaemonSet": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "apps/v1/Deployment": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "apps/v1/ReplicaSet": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "apps/v1/StatefulSet": {"spec": {"selector": SELECTOR, "template": TEMPLATE, "serviceName": "web"}},
    "autoscaling/v1/HorizontalPodAutoscaler": {"spec": {
        "maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}},
    "autoscaling/v2/HorizontalPodAutoscaler": {"spec": {
        "maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}},
    "batch/v1/CronJob": {"spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": JOB}}},
    "batch/v1/Job": {"spec": JOB},
    "policy/v1/PodDisruptionBudget": {"spec": {"minAvailable": 1, "selector": SELECTOR}},
    "scheduling.k8s.io/v1/PriorityClass": {"value": 5},
    "discovery.k8s.io/v1/EndpointSlice": {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.9"]}]},
    "networking.k8s.io/v1/Ingress": {"spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}},
    "networking.k8s.io/v1/IngressClass": {"spec": {"controller": "example.com/ingress"}},
    "networking.k8s.io/v1/IPAddress": {"spec": {"parentRef": {"resource": "services", "namespace": "default",
                                                              "name": "web"}}},
    "networking.k8s.io/v1/NetworkPolicy": {"spec": {"podSelector": {}}},
    "networking.k8s.io/v1/ServiceCIDR": {"spec": {"cidrs": ["10.97.0.0/16"]}},
    "storage.k8s.io/v1/CSIDriver": {"spec": {}},
    "storage.k8s.io/v1/CSINode": {"spec": {"drivers": []}},
    "storage.k8s.io/v1/CSIStorageCapacity": {"storageClassName": "fast"},
    "storage.k8s.io/v1/StorageClass": {"provisioner": "example.com/disk"},
    "storage.k8s.io/v1/VolumeAttachment": {"spec": {"attacher": "csi.example.com", "nodeName": "a",
                                                    "source": {"persistentVolumeName": "v"}}},
    "storage.k8s.io/v1/VolumeAttributesClass": {"driverName": "csi.example.com", "parameters": {"iops": "1"}},
    "resource.k8s.io/v1/DeviceClass": {"spec": {}},
    "resource.k8s.io/v1/DeviceTaintRule": {"spec": {"taint": {"key": "example.com/broken", "effect": "NoSchedule"}}},
    "resource.k8s.io/v1/ResourceClaim": {"spec": CLAIM},
    "resource.k8s.io/v1/ResourceClaimTemplate": {"spec": {"spec": CLAIM}},
    "resource.k8s.io/v1/ResourceSlice": {"spec": {
        "driver": DRIVER, "nodeName": "a", "devices": [],
        "pool": {"name": "a", "generation": 1, "resourceSliceCount": 1}}},
    "authentication.k8s.io/v1/SelfSubjectReview": {},
    "authentication.k8s.io/v1/TokenReview": {"spec": {"token": "x"}},
    "authorization.k8s.io/v1/LocalSubjectAccessReview": {"spec": QUESTION | {"user": "jane"}},
    "authorization.k8s.io/v1/SelfSubjectAccessReview": {"spec": QUESTION},
    "authorization.k8s.io/v1/SelfSubjectRulesReview": {"spec": {"namespace": "default"}},
    "authorization.k8s.io/v1/SubjectAccessReview": {"spec": QUESTION | {"user": "jane"}},
    "rbac.authorization.k8s.io/v1/ClusterRole": {"rules": ROLE},
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": {"subjects": SUBJECTS, "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}},
    "rbac.authorization.k8s.io/v1/Role": {"rules": ROLE},
    "rbac.authorization.k8s.io/v1/RoleBinding": {"subjects": SUBJECTS, "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}},
    "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy": {"spec": {
        "matchConstraints": RULES, "failurePolicy": "Ignore", "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}]}},
    "admissionregistration.k8s.io/v1/MutatingAdmissionPolicyBinding": {"spec": {"policyName": "nobody"}},
    "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration": {"webhooks": [WEBHOOK]},
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy": {"spec": {
        "matchConstraints": RULES, "validations": [{"expression": "true"}]}},
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": {"spec": {
        "policyName": "nobody", "validationActions": ["Deny"]}},
    "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration": {"webhooks": [WEBHOOK]},
    "apiextensions.k8s.io/v1/CustomResourceDefinition": {"spec": DEFINITION},
    "apiregistration.k8s.io/v1/APIService": {"spec": {
        "group": "elsewhere.example.com", "version": "v1", "groupPriorityMinimum": 10, "versionPriority": 10,
        "service": {"namespace": "default", "name": "nobody"}, "insecureSkipTLSVerify": True}},
    "coordination.k8s.io/v1/Lease": {"spec": {"holderIdentity": "a"}},
    "events.k8s.io/v1/Event": {"regarding": ABOUT, "reason": "Tested", "note": "m", "type": "Normal",
                               "eventTime": WHEN, "action": "Test", "reportingController": "test",
                               "reportingInstance": "test-1"},
    "flowcontrol.apiserver.k8s.io/v1/FlowSchema": {"spec": {"priorityLevelConfiguration": {"name": "exempt"}}},
    "flowcontrol.apiserver.k8s.io/v1/PriorityLevelConfiguration": {"spec": {
        "type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}},
    "node.k8s.io/v1/RuntimeClass": {"handler": "runc"},
    "extensions/v1beta1/Deployment": {"spec": {"template": TEMPLATE}},
    "extensions/v1beta1/Ingress": {"spec": {"backend": {"serviceName": "web", "servicePort": 80}}},
    "apps/v1beta1/Deployment": {"spec": {"template": TEMPLATE}},
    "apps/v1beta1/StatefulSet": {"spec": {"template": TEMPLATE, "serviceName": "web"}},
    "storagemigration.k8s.io/v1/StorageVersionMigration": {"spec": {"resource": {"group": "", "resource": "secrets"}}},
}
"""By kind. Those whose content is a key are made by `sample`."""


def sample(kind: Kind) -> Json:
    """An object of a kind, with its name; questions have none."""
    match kind.kind:
        case "CertificateSigningRequest":
            content = signing_request()
        case "ClusterTrustBundle":
            content = {"spec": {"trustBundle": keys()[1]}}
        case "PodCertificateRequest":
            content = pod_certificate_request()
        case _:
            content = CONTENT[kind.id]
    head = {"apiVersion": kind.apiVersion, "kind": kind.kind}
    return head | ({} if kind.kind.endswith("Review") else {"metadata": {"name": name_of(kind)}}) | content


def pod_certificate_request() -> Json:
    uid = "00000000-0000-0000-0000-000000000001"
    der = x509.load_pem_x509_csr(keys()[0].encode()).public_bytes(serialization.Encoding.DER)
    return {"spec": {
        "signerName": "example.com/pods", "podName": "web", "podUID": uid, "serviceAccountName": "default",
        "serviceAccountUID": uid, "nodeName": "a", "nodeUID": uid, "maxExpirationSeconds": 86400,
        "stubPKCS10Request": base64.b64encode(der).decode()}}


def samples() -> list[Json]:
    """One of each kind that has any."""
    return [sample(kind) for kind in KINDS if "create" in kind.verbs]
