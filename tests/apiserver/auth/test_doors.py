"""A whole server: what a request goes through before anything happens."""

from dataclasses import replace

import pytest
from support.api_server import pod, running

from timonier.apiserver.auth.bootstrap import bootstrap
from timonier.apiserver.request import User

V1 = "/apis/rbac.authorization.k8s.io/v1"


class As:
    """Takes everyone for one user, whom the test chooses."""

    def __init__(self, user):
        self.user = user

    async def authenticate(self, request):
        return self.user


ROOT = User("root", groups=("system:masters",))
NODE = User("system:node:n1", groups=("system:nodes", "system:authenticated"))
ANN = User("ann", groups=("system:authenticated",))


@pytest.fixture
async def cluster(tmp_path):
    async with running(tmp_path) as found:
        door = As(ROOT)
        found.server.access = replace(found.server.access, authenticator=door)
        await bootstrap(found.registry)
        found.door = door
        await found.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        await found.post("/api/v1/namespaces/default/pods", pod("mine", nodeName="n1"))
        yield found


async def test_a_node_gets_no_token_that_is_not_bound_to_its_pod(cluster):
    uid = (await cluster.get("/api/v1/namespaces/default/pods/mine")).json["metadata"]["uid"]
    cluster.door.user = NODE
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    plain = await cluster.post(path, {"spec": {"audiences": []}})
    assert (plain.code, plain.message) == (
        403, 'serviceaccounts "default" is forbidden: node requested token not bound to a pod')
    ref = {"kind": "Pod", "apiVersion": "v1", "name": "mine", "uid": uid}
    bound = await cluster.post(path, {"spec": {"audiences": [], "boundObjectRef": ref}})
    assert bound.code == 201
    bearers = cluster.server.access.reviews.authenticator.bearers
    found = await bearers.identify(bound.json["status"]["token"], cluster.server.settings.service_account_issuer)
    assert found.user.name == "system:serviceaccount:default:default"


async def test_a_node_evicts_and_deletes_its_own_pods_alone(cluster):
    await cluster.post("/api/v1/namespaces/default/pods", pod("theirs", nodeName="n2"))
    cluster.door.user = NODE
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "theirs"}}
    for reply in (await cluster.post("/api/v1/namespaces/default/pods/theirs/eviction", eviction),
                  await cluster.delete("/api/v1/namespaces/default/pods/theirs")):
        assert reply.code == 403
        assert "pods with spec.nodeName set to itself" in reply.message
    assert (await cluster.delete("/api/v1/namespaces/default/pods/mine")).code == 200


async def test_a_list_of_one_name_counts_as_asking_for_that_name(cluster):
    await cluster.post(f"{V1}/namespaces/default/roles", {"metadata": {"name": "one"}, "rules": [
        {"verbs": ["list"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["s"]}]})
    await cluster.post(f"{V1}/namespaces/default/rolebindings", {
        "metadata": {"name": "one"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "one"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "ann"}]})
    cluster.door.user = ANN
    path = "/api/v1/namespaces/default/secrets"
    assert (await cluster.get(f"{path}?fieldSelector=metadata.name=s")).code == 200
    assert (await cluster.get(f"{path}?fieldSelector=metadata.name!=s")).code == 403
    assert (await cluster.get(path)).code == 403


async def test_a_role_with_the_label_is_aggregated(cluster):
    from timonier.apiserver.auth.bootstrap import keep_aggregated

    rule = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["things"]}
    await cluster.post(f"{V1}/clusterroles", {"metadata": {"name": "things", "labels": {
        "rbac.authorization.k8s.io/aggregate-to-view": "true"}}, "rules": [rule]})
    await keep_aggregated(cluster.registry)
    for name in ("view", "edit", "admin"):
        assert rule in (await cluster.get(f"{V1}/clusterroles/{name}")).json["rules"], name


async def test_reviews_answer_over_the_wire(cluster):
    cluster.door.user = ANN
    reply = await cluster.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
        "spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "default"}}})
    assert (reply.code, reply.json["status"]["allowed"]) == (201, False)
    who = await cluster.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert who.json["status"]["userInfo"]["username"] == "ann"
    assert (await cluster.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {}})).code == 403
