"""The rights of each controller, as data; see `auth.policy` for what is made of them."""

from __future__ import annotations

from timonier.apiserver.auth.rule_lines import EVENTS

CONTROLLERS: dict[str, str] = {
    "attachdetach-controller": f"""
        list,watch core persistentvolumeclaims persistentvolumes
        READ core nodes
        CHANGE core nodes/status
        list,watch core pods
        {EVENTS}
        create,delete,READ storage.k8s.io volumeattachments
        READ storage.k8s.io csidrivers
        READ storage.k8s.io csinodes""",
    "certificate-controller": f"""
        delete,READ certificates.k8s.io certificatesigningrequests
        update certificates.k8s.io certificatesigningrequests/approval certificatesigningrequests/status
        approve certificates.k8s.io signers : kubernetes.io/kube-apiserver-client-kubelet
        sign certificates.k8s.io signers : kubernetes.io/kube-apiserver-client \
            kubernetes.io/kube-apiserver-client-kubelet kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown
        create authorization.k8s.io subjectaccessreviews
        {EVENTS}""",
    "clusterrole-aggregation-controller":
        "escalate,READ,CHANGE rbac.authorization.k8s.io clusterroles",
    "cronjob-controller": f"""
        READ,update batch cronjobs
        create,delete,READ,CHANGE batch jobs
        update batch cronjobs/status
        update batch cronjobs/finalizers
        list,watch,delete core pods
        {EVENTS}""",
    "daemon-set-controller": f"""
        READ apps,extensions daemonsets
        update apps,extensions daemonsets/status
        update apps,extensions daemonsets/finalizers
        list,watch core nodes
        create,delete,list,patch,watch core pods
        create core pods/binding
        create,delete,READ,CHANGE apps controllerrevisions
        {EVENTS}""",
    "deployment-controller": f"""
        READ,update apps,extensions deployments
        update apps,extensions deployments/status
        update apps,extensions deployments/finalizers
        create,delete,READ,CHANGE apps,extensions replicasets
        READ,update core pods
        {EVENTS}""",
    "device-taint-eviction-controller": f"""
        delete,READ core pods
        CHANGE core pods/status
        READ resource.k8s.io resourceclaims
        READ resource.k8s.io resourceslices
        READ resource.k8s.io deviceclasses
        {EVENTS}
        CHANGE resource.k8s.io devicetaintrules/status
        READ resource.k8s.io devicetaintrules""",
    "disruption-controller": f"""
        READ apps,extensions deployments
        READ apps,extensions replicasets
        READ core replicationcontrollers
        READ policy poddisruptionbudgets
        READ apps statefulsets
        update policy poddisruptionbudgets/status
        CHANGE core pods/status
        get * */scale
        {EVENTS}""",
    "endpoint-controller": f"""
        READ core pods services
        create,delete,READ,update core endpoints
        create core endpoints/restricted
        {EVENTS}""",
    "endpointslice-controller": f"""
        READ core nodes pods services
        update core services/finalizers
        create,delete,READ,update discovery.k8s.io endpointslices
        {EVENTS}""",
    "endpointslicemirroring-controller": f"""
        READ core endpoints services
        update core services/finalizers
        update core endpoints/finalizers
        create,delete,READ,update discovery.k8s.io endpointslices
        {EVENTS}""",
    "ephemeral-volume-controller": f"""
        READ core pods
        update core pods/finalizers
        create,READ core persistentvolumeclaims
        {EVENTS}""",
    "expand-controller": f"""
        READ,CHANGE core persistentvolumes
        CHANGE core persistentvolumeclaims/status
        READ core persistentvolumeclaims
        {EVENTS}
        get core services""",
    "generic-garbage-collector": f"""
        delete,READ,CHANGE * *
        {EVENTS}""",
    "horizontal-pod-autoscaler": f"""
        READ autoscaling horizontalpodautoscalers
        update autoscaling horizontalpodautoscalers/status
        get,update * */scale
        list,watch core pods
        list,watch metrics.k8s.io pods
        READ custom.metrics.k8s.io *
        READ external.metrics.k8s.io *
        {EVENTS}""",
    "job-controller": f"""
        READ,CHANGE batch jobs
        update batch jobs/status
        update batch jobs/finalizers
        create,delete,list,patch,watch core pods
        {EVENTS}""",
    "kube-apiserver-serving-clustertrustbundle-publisher": f"""
        attest certificates.k8s.io signers : kubernetes.io/kube-apiserver-serving
        create,delete,list,update,watch certificates.k8s.io clustertrustbundles
        {EVENTS}""",
    "legacy-service-account-token-cleaner": """
        get core configmaps : kube-apiserver-legacy-service-account-token-tracking
        delete,patch core secrets""",
    "namespace-controller": """
        delete,READ core namespaces
        update core namespaces/finalize namespaces/status
        delete,deletecollection,READ * *""",
    "node-controller": f"""
        delete,READ,CHANGE core nodes
        CHANGE core nodes/status
        CHANGE core pods/status
        delete,READ core pods
        {EVENTS}""",
    "persistent-volume-binder": f"""
        create,delete,READ,update core persistentvolumes
        update core persistentvolumes/status
        READ,update core persistentvolumeclaims
        update core persistentvolumeclaims/status
        create,delete,READ core pods
        READ storage.k8s.io storageclasses
        list,watch core nodes
        {EVENTS}
        watch core events
        get core services""",
    "pod-garbage-collector": """
        delete,list,watch core pods
        READ core nodes
        patch core pods/status""",
    "podcertificaterequestcleaner": "delete,READ certificates.k8s.io podcertificaterequests",
    "pv-protection-controller": f"""
        READ,update core persistentvolumes
        {EVENTS}""",
    "pvc-protection-controller": f"""
        READ,update core persistentvolumeclaims
        READ core pods
        {EVENTS}""",
    "replicaset-controller": f"""
        READ,update apps,extensions replicasets
        update apps,extensions replicasets/status
        update apps,extensions replicasets/finalizers
        create,delete,list,patch,watch core pods
        {EVENTS}""",
    "replication-controller": f"""
        READ,update core replicationcontrollers
        update core replicationcontrollers/status
        update core replicationcontrollers/finalizers
        create,delete,list,patch,watch core pods
        {EVENTS}""",
    "resource-claim-controller": f"""
        READ core pods
        update core pods/finalizers
        create,delete,READ resource.k8s.io resourceclaims
        CHANGE resource.k8s.io resourceclaims resourceclaims/status
        CHANGE core pods/status
        {EVENTS}""",
    "resourcequota-controller": f"""
        list,watch * *
        update core resourcequotas/status
        {EVENTS}""",
    "root-ca-cert-publisher": f"""
        create,update core configmaps
        {EVENTS}""",
    "route-controller": f"""
        list,watch core nodes
        patch core nodes/status
        {EVENTS}""",
    "selinux-warning-controller": f"""
        {EVENTS}
        READ core persistentvolumes
        READ core persistentvolumeclaims
        READ core pods
        READ storage.k8s.io csidrivers""",
    "service-account-controller": f"""
        create core serviceaccounts
        {EVENTS}""",
    "service-cidrs-controller": f"""
        READ,CHANGE networking.k8s.io servicecidrs
        CHANGE networking.k8s.io servicecidrs/finalizers
        CHANGE networking.k8s.io servicecidrs/status
        READ networking.k8s.io ipaddresses
        {EVENTS}""",
    "service-controller": f"""
        READ core services
        CHANGE core services/status
        list,watch core nodes
        {EVENTS}""",
    "statefulset-controller": f"""
        list,watch core pods
        READ apps statefulsets
        update apps statefulsets/status
        update apps statefulsets/finalizers
        create,delete,get,CHANGE core pods
        create,delete,READ,CHANGE apps controllerrevisions
        create,READ core persistentvolumeclaims
        delete,update core persistentvolumeclaims
        update core pods/finalizers
        {EVENTS}""",
    "storage-version-migrator-controller": """
        create,list,patch,watch * *
        update storagemigration.k8s.io storageversionmigrations/status""",
    "ttl-after-finished-controller": f"""
        delete,READ batch jobs
        {EVENTS}""",
    "ttl-controller": f"""
        list,watch,CHANGE core nodes
        {EVENTS}""",
    "validatingadmissionpolicy-status-controller": f"""
        READ admissionregistration.k8s.io validatingadmissionpolicies
        get,CHANGE admissionregistration.k8s.io validatingadmissionpolicies/status
        {EVENTS}""",
    "volumeattributesclass-protection-controller": f"""
        READ core persistentvolumeclaims
        READ core persistentvolumes
        READ,update storage.k8s.io volumeattributesclasses
        {EVENTS}""",
}
"""The rights of each controller, as ClusterRole `system:controller:<name>`, bound to its service account."""

NOT_OF_THE_MANAGER = frozenset({"clusterrole-aggregation-controller", "storage-version-migrator-controller"})
"""What the controller manager does not run, and whose rights are nearly every right."""
