"""The roles and bindings that every cluster starts with, as data; those of controllers are in `auth.controller_roles`.

They are those of Kubernetes v1.37 with the features that it has on by default, rule by rule and name by name. What our
own parts need beyond that stands in roles of their own, called `timonier:`. What is made of these tables stands in
`auth.policy`, the form of a rule in `auth.rule_lines`.
Source: Kubernetes documentation, "Using RBAC Authorization", default roles and role bindings.
"""

from __future__ import annotations

from timonier.apiserver.auth.rule_lines import EVENTS

ROLES: dict[str, str] = {
    "cluster-admin": """
        EVERY * *
        EVERY url *""",
    "system:aggregate-to-admin": """
        create authorization.k8s.io localsubjectaccessreviews
        ANY rbac.authorization.k8s.io roles rolebindings""",
    "system:aggregate-to-edit": """
        READ core pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy
        impersonate core serviceaccounts
        WRITE core pods pods/attach pods/exec pods/portforward pods/proxy
        create core pods/eviction
        WRITE core configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale \
            secrets serviceaccounts services services/proxy
        create core serviceaccounts/token
        WRITE apps daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale \
            statefulsets statefulsets/scale
        WRITE autoscaling horizontalpodautoscalers
        WRITE batch cronjobs jobs
        WRITE extensions daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies \
            replicasets replicasets/scale replicationcontrollers/scale
        WRITE policy poddisruptionbudgets
        WRITE networking.k8s.io ingresses networkpolicies
        ANY coordination.k8s.io leases
        WRITE resource.k8s.io resourceclaims resourceclaimtemplates""",
    "system:aggregate-to-view": """
        READ core configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods \
            replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status
        READ core bindings events limitranges namespaces/status pods/log pods/status \
            replicationcontrollers/status resourcequotas resourcequotas/status
        READ core namespaces
        READ discovery.k8s.io endpointslices
        READ apps controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status \
            replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status
        READ autoscaling horizontalpodautoscalers horizontalpodautoscalers/status
        READ batch cronjobs cronjobs/status jobs jobs/status
        READ extensions daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses \
            ingresses/status networkpolicies replicasets replicasets/scale replicasets/status \
            replicationcontrollers/scale
        READ policy poddisruptionbudgets poddisruptionbudgets/status
        READ networking.k8s.io ingresses ingresses/status networkpolicies
        READ resource.k8s.io resourceclaims resourceclaims/status resourceclaimtemplates""",
    "system:auth-delegator": """
        create authentication.k8s.io tokenreviews
        create authorization.k8s.io subjectaccessreviews""",
    "system:basic-user": """
        create authorization.k8s.io selfsubjectaccessreviews selfsubjectrulesreviews
        create authentication.k8s.io selfsubjectreviews""",
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient":
        "create certificates.k8s.io certificatesigningrequests/nodeclient",
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient":
        "create certificates.k8s.io certificatesigningrequests/selfnodeclient",
    "system:certificates.k8s.io:kube-apiserver-client-approver":
        "approve certificates.k8s.io signers : kubernetes.io/kube-apiserver-client",
    "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver":
        "approve certificates.k8s.io signers : kubernetes.io/kube-apiserver-client-kubelet",
    "system:certificates.k8s.io:kubelet-serving-approver":
        "approve certificates.k8s.io signers : kubernetes.io/kubelet-serving",
    "system:certificates.k8s.io:legacy-unknown-approver":
        "approve certificates.k8s.io signers : kubernetes.io/legacy-unknown",
    "system:cluster-trust-bundle-discovery": "READ certificates.k8s.io clustertrustbundles",
    "system:discovery":
        "get url /api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/",
    "system:heapster": """
        READ core events namespaces nodes pods
        READ extensions deployments""",
    "system:kube-aggregator": "READ core endpoints services",
    "system:kube-controller-manager": f"""
        {EVENTS}
        create coordination.k8s.io leases
        get,update coordination.k8s.io leases : kube-controller-manager
        create core secrets serviceaccounts
        delete core secrets
        get core configmaps namespaces secrets serviceaccounts
        update core secrets serviceaccounts
        create authentication.k8s.io tokenreviews
        create authorization.k8s.io subjectaccessreviews
        list,watch * *
        create core serviceaccounts/token""",
    "system:kube-dns": "list,watch core endpoints services",
    "system:kube-scheduler": f"""
        {EVENTS}
        create coordination.k8s.io leases
        READ,update coordination.k8s.io leases : kube-scheduler
        ANY coordination.k8s.io leasecandidates
        READ core nodes
        READ,delete core pods
        create core bindings pods/binding
        CHANGE core pods/status
        READ core replicationcontrollers services
        READ apps,extensions replicasets
        READ apps statefulsets
        READ policy poddisruptionbudgets
        READ core persistentvolumeclaims persistentvolumes
        create authentication.k8s.io tokenreviews
        create authorization.k8s.io subjectaccessreviews
        READ storage.k8s.io csinodes
        READ storage.k8s.io volumeattachments
        READ core namespaces
        READ storage.k8s.io csidrivers
        READ storage.k8s.io csistoragecapacities
        READ resource.k8s.io deviceclasses
        READ,CHANGE resource.k8s.io resourceclaims
        READ,CHANGE resource.k8s.io resourceclaims/status
        READ,CHANGE core pods/finalizers
        READ resource.k8s.io resourceslices
        create,delete resource.k8s.io resourceclaims
        READ resource.k8s.io devicetaintrules""",
    "system:kubelet-api-admin": """
        READ core nodes
        proxy core nodes
        EVERY core nodes/log nodes/metrics nodes/proxy nodes/stats
        EVERY core nodes/configz nodes/healthz nodes/pods""",
    "system:monitoring": """
        get url /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*
        get url /flagz
        get url /statusz""",
    "system:node": """
        create authentication.k8s.io tokenreviews
        create authorization.k8s.io localsubjectaccessreviews subjectaccessreviews
        READ core services
        create,READ core nodes
        CHANGE core nodes/status
        CHANGE core nodes
        create,CHANGE core events
        READ core pods
        create,delete core pods
        CHANGE core pods/status
        create core pods/eviction
        READ core configmaps secrets
        get core persistentvolumeclaims persistentvolumes
        get core endpoints
        create,READ certificates.k8s.io certificatesigningrequests
        create,delete,get,CHANGE coordination.k8s.io leases
        get storage.k8s.io volumeattachments
        create core serviceaccounts/token
        get,CHANGE core persistentvolumeclaims/status
        READ storage.k8s.io csidrivers
        create,delete,get,CHANGE storage.k8s.io csinodes
        READ node.k8s.io runtimeclasses
        get resource.k8s.io resourceclaims
        deletecollection resource.k8s.io resourceslices
        READ certificates.k8s.io clustertrustbundles
        get core serviceaccounts
        create,READ certificates.k8s.io podcertificaterequests""",
    "system:node-bootstrapper": "create,READ certificates.k8s.io certificatesigningrequests",
    "system:node-problem-detector": f"""
        get core nodes
        patch core nodes/status
        {EVENTS}""",
    "system:node-proxier": f"""
        list,watch core endpoints services
        READ core nodes
        {EVENTS}
        list,watch discovery.k8s.io endpointslices
        list,watch networking.k8s.io servicecidrs""",
    "system:persistent-volume-provisioner": f"""
        create,delete,READ core persistentvolumes
        READ,update core persistentvolumeclaims
        READ storage.k8s.io storageclasses
        watch core events
        {EVENTS}""",
    "system:public-info-viewer": "get url /healthz /livez /readyz /version /version/",
    "system:service-account-issuer-discovery": """get url /.well-known/openid-configuration \
        /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/""",
    "system:volume-scheduler": """
        READ,CHANGE core persistentvolumes
        READ storage.k8s.io storageclasses
        READ,CHANGE core persistentvolumeclaims""",
    "timonier:cluster-dns": """
        READ core namespaces nodes services
        READ discovery.k8s.io endpointslices""",
}
"""ClusterRoles by name. What is only ours is called `timonier:`; the others read as in Kubernetes, rule by rule."""

AGGREGATED = {"admin": "admin", "edit": "edit", "view": "view"}
"""ClusterRoles whose rules are gathered from those that carry the label `aggregate-to-<value>`."""

AGGREGATES_TO = {"edit": "admin", "view": "edit", "system:aggregate-to-admin": "admin",
                 "system:aggregate-to-edit": "edit", "system:aggregate-to-view": "view"}
"""The label of each ClusterRole that is gathered into another."""

NAMESPACE_ROLES: dict[tuple[str, str], str] = {
    ("kube-public", "system:controller:bootstrap-signer"): f"""
        READ core configmaps
        update core configmaps : cluster-info
        {EVENTS}""",
    ("kube-system", "extension-apiserver-authentication-reader"):
        "READ core configmaps : extension-apiserver-authentication",
    ("kube-system", "system:controller:bootstrap-signer"): "READ core secrets",
    ("kube-system", "system:controller:cloud-provider"): "create,READ,update core configmaps",
    ("kube-system", "system:controller:token-cleaner"): f"""
        READ,delete core secrets
        {EVENTS}""",
    ("kube-system", "system::leader-locking-kube-controller-manager"): """
        watch core configmaps
        get,update core configmaps : kube-controller-manager""",
    ("kube-system", "system::leader-locking-kube-scheduler"): """
        watch core configmaps
        get,update core configmaps : kube-scheduler""",
    ("kube-system", "timonier:cluster-dns"): "create,delete,READ,CHANGE discovery.k8s.io endpointslices",
}
"""Roles by namespace and name."""

PROXY, NODES, DNS = "User system:kube-proxy", "Group system:nodes", "User system:cluster-dns"
MANAGER, SCHEDULER = "User system:kube-controller-manager", "User system:kube-scheduler"
AUTHENTICATED, UNAUTHENTICATED = "Group system:authenticated", "Group system:unauthenticated"
ACCOUNTS = "Group system:serviceaccounts"

BINDINGS: dict[str, tuple[str, ...]] = {
    "cluster-admin": ("Group system:masters",),
    "system:monitoring": ("Group system:monitoring",),
    "system:discovery": (AUTHENTICATED,),
    "system:basic-user": (AUTHENTICATED,),
    "system:public-info-viewer": (AUTHENTICATED, UNAUTHENTICATED),
    "system:service-account-issuer-discovery": (ACCOUNTS,),
    "system:cluster-trust-bundle-discovery": (ACCOUNTS,),
    "system:node-proxier": (PROXY,),
    "system:kube-controller-manager": (MANAGER,),
    "system:kube-scheduler": (SCHEDULER,),
    "system:volume-scheduler": (SCHEDULER,),
    "system:kube-dns": ("ServiceAccount kube-dns",),
    "system:node": (),
    "timonier:cluster-dns": (DNS, NODES),
    "timonier:controllers": (MANAGER,),
    "timonier:kubelet-client": ("User kube-apiserver-kubelet-client",),
    "timonier:node-proxier": (NODES,),
}
"""ClusterRoleBindings: each binds the ClusterRole of its own name, but for those that `ROLE_OF` knows.
Service accounts are those of kube-system.

`system:node` has no subjects: nodes get their rights from the Node authoriser, which looks at each object. Each node
runs its own proxy and DNS with its own identity, so nodes have the rights of those; which EndpointSlices a node may
write is for the NodeRestriction plugin to say.
"""

NAMESPACE_BINDINGS: dict[tuple[str, str], tuple[str, ...]] = {
    ("kube-public", "system:controller:bootstrap-signer"): ("ServiceAccount bootstrap-signer",),
    ("kube-system", "system::extension-apiserver-authentication-reader"): (MANAGER, SCHEDULER),
    ("kube-system", "system:controller:bootstrap-signer"): ("ServiceAccount bootstrap-signer",),
    ("kube-system", "system:controller:cloud-provider"): ("ServiceAccount cloud-provider",),
    ("kube-system", "system:controller:token-cleaner"): ("ServiceAccount token-cleaner",),
    ("kube-system", "system::leader-locking-kube-controller-manager"):
        (MANAGER, "ServiceAccount kube-controller-manager"),
    ("kube-system", "system::leader-locking-kube-scheduler"): (SCHEDULER, "ServiceAccount kube-scheduler"),
    ("kube-system", "timonier:cluster-dns"): (DNS, NODES),
}
"""RoleBindings by namespace and name; each binds the Role of its name, but for the one that `ROLE_OF` knows."""

ROLE_OF = {"system::extension-apiserver-authentication-reader": "extension-apiserver-authentication-reader",
           "timonier:kubelet-client": "system:kubelet-api-admin", "timonier:node-proxier": "system:node-proxier"}
