"""The rights of each controller, as data; see `auth.policy` for what is made of them."""

from __future__ import annotations

from timonier.apiserver.auth.rule_lines import EVENTS

CONTROLLERS: dict[str, str] = {
    "certificate-controller": f"""
        delete,READ certificates.k8s.io certificatesigningrequests
        CHANGE certificates.k8s.io certificatesigningrequests/approval certificatesigningrequests/status
        approve certificates.k8s.io signers : kubernetes.io/kube-apiserver-client-kubelet
        sign certificates.k8s.io signers : kubernetes.io/kube-apiserver-client \
            kubernetes.io/kube-apiserver-client-kubelet kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown
        create authorization.k8s.io subjectaccessreviews
        {EVENTS}""",
    "clusterrole-aggregation-controller":
        "escalate,READ,CHANGE rbac.authorization.k8s.io clusterroles",
    "cronjob-controller": f"""
        READ,CHANGE batch cronjobs
        READ,CHANGE,create,delete batch jobs
        CHANGE batch cronjobs/status cronjobs/finalizers
        list,watch,delete core pods
        {EVENTS}""",
    "daemon-set-controller": f"""
        READ apps daemonsets
        CHANGE apps daemonsets/status daemonsets/finalizers
        list,watch core nodes
        create,delete,READ,CHANGE core pods
        create core pods/binding
        create,delete,READ,CHANGE apps controllerrevisions
        {EVENTS}""",
    "deployment-controller": f"""
        READ,CHANGE apps deployments
        CHANGE apps deployments/status deployments/finalizers
        create,delete,READ,CHANGE apps replicasets
        READ,CHANGE core pods
        {EVENTS}""",
    "disruption-controller": f"""
        READ apps deployments replicasets statefulsets
        READ core replicationcontrollers pods
        READ policy poddisruptionbudgets
        CHANGE policy poddisruptionbudgets/status
        CHANGE core pods/status
        get * */scale
        {EVENTS}""",
    "endpoint-controller": f"""
        READ core pods services
        create,delete,READ,CHANGE core endpoints
        create core endpoints/restricted
        {EVENTS}""",
    "endpointslice-controller": f"""
        READ core nodes pods services
        update core services/finalizers
        create,delete,READ,CHANGE discovery.k8s.io endpointslices
        {EVENTS}""",
    "endpointslicemirroring-controller": f"""
        READ core endpoints services
        update core services/finalizers endpoints/finalizers
        create,delete,READ,CHANGE discovery.k8s.io endpointslices
        {EVENTS}""",
    "ephemeral-volume-controller": f"""
        READ core pods
        update core pods/finalizers
        create,READ core persistentvolumeclaims
        {EVENTS}""",
    "generic-garbage-collector": f"""
        delete,READ,CHANGE * *
        {EVENTS}""",
    "horizontal-pod-autoscaler": f"""
        READ autoscaling horizontalpodautoscalers
        CHANGE autoscaling horizontalpodautoscalers/status
        get,CHANGE * */scale
        READ core pods
        list,watch metrics.k8s.io pods
        READ custom.metrics.k8s.io *
        READ external.metrics.k8s.io *
        {EVENTS}""",
    "job-controller": f"""
        READ,CHANGE batch jobs
        CHANGE batch jobs/status jobs/finalizers
        create,delete,READ,CHANGE core pods
        {EVENTS}""",
    "namespace-controller": """
        delete,READ core namespaces
        CHANGE core namespaces/finalize namespaces/status
        delete,deletecollection,READ * *""",
    "node-controller": f"""
        delete,READ,CHANGE core nodes
        CHANGE core nodes/status pods/status
        delete,READ core pods
        READ coordination.k8s.io leases
        READ apps daemonsets
        {EVENTS}""",
    "persistent-volume-binder": f"""
        create,delete,READ,CHANGE core persistentvolumes
        CHANGE core persistentvolumes/status persistentvolumeclaims/status
        READ,CHANGE core persistentvolumeclaims
        create,delete,READ core pods
        READ storage.k8s.io storageclasses
        list,watch core nodes
        {EVENTS}
        watch core events""",
    "pod-garbage-collector": """
        delete,list,watch core pods
        READ core nodes
        CHANGE core pods/status""",
    "pv-protection-controller": f"""
        READ,CHANGE core persistentvolumes
        {EVENTS}""",
    "pvc-protection-controller": f"""
        READ,CHANGE core persistentvolumeclaims
        CHANGE core persistentvolumeclaims/status
        READ core pods
        {EVENTS}""",
    "replicaset-controller": f"""
        READ,CHANGE apps replicasets
        CHANGE apps replicasets/status replicasets/finalizers
        create,delete,READ,CHANGE core pods
        {EVENTS}""",
    "replication-controller": f"""
        READ,CHANGE core replicationcontrollers
        CHANGE core replicationcontrollers/status replicationcontrollers/finalizers
        create,delete,READ,CHANGE core pods
        {EVENTS}""",
    "resourcequota-controller": f"""
        list,watch * *
        CHANGE core resourcequotas/status
        {EVENTS}""",
    "root-ca-cert-publisher": f"""
        create,CHANGE core configmaps
        {EVENTS}""",
    "service-account-controller": f"""
        create core serviceaccounts
        {EVENTS}""",
    "service-controller": f"""
        READ core services
        CHANGE core services/status
        list,watch core nodes
        {EVENTS}""",
    "statefulset-controller": f"""
        READ apps statefulsets
        CHANGE apps statefulsets/status statefulsets/finalizers
        create,delete,READ,CHANGE core pods
        update core pods/finalizers
        create,delete,READ,CHANGE apps controllerrevisions
        create,delete,READ,CHANGE core persistentvolumeclaims
        {EVENTS}""",
    "ttl-after-finished-controller": f"""
        delete,READ batch jobs
        {EVENTS}""",
    "ttl-controller": f"""
        list,watch,CHANGE core nodes
        {EVENTS}""",
}
"""The rights of each controller, as ClusterRole `system:controller:<name>`.

Each is bound to the controller's service account in kube-system, and to the controller manager, whose own identity all
controllers share as long as it does not take theirs.
"""
