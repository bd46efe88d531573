"""All controllers against the real API server, over TLS, in one process; a few lines stand in for the kubelet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.definitions import PATH as DEFINITIONS
from support.definitions import definition, foo, version
from support.ports import free_port
from support.simulated_cluster import deployment

from timonier.api import errors, times
from timonier.api.kinds import Kind
from timonier.api.types import admissionregistration_v1, apps_v1, core_v1, discovery_v1, meta_v1
from timonier.apiserver import server
from timonier.apiserver.settings import ApiServerSettings
from timonier.client.client import STRATEGIC_PATCH, Client
from timonier.client.informer import SharedInformers
from timonier.client.wire import Partial
from timonier.cluster.certificates import Authority, Identity, signing_key
from timonier.controllers import run as controllers
from timonier.controllers.settings import ControllerSettings
from timonier.kit import kubeconfig
from timonier.kit.http import HttpError
from timonier.kit.kubeconfig import ClientConfig

PATIENCE = 20.0


class Live:
    """A client with mirrors, and a kubelet of a few lines."""

    def __init__(self, client: Client) -> None:
        self.client, self.informers = client, SharedInformers(client)
        self.pods = self.informers.informer(core_v1.Pod, "default")

    async def until(self, cls: type, holds: Callable[[list[Any]], bool], namespace: str = "default",
                    kind: Kind | None = None) -> list[Any]:
        """Wait until what a mirror shows fulfils a condition."""
        mirror, changed = self.informers.informer(cls, namespace, kind=kind), asyncio.Event()
        mirror.on_change(lambda old, new: changed.set())
        async with asyncio.timeout(PATIENCE):
            await mirror.synced.wait()
            while not holds(mirror.list()):
                changed.clear()
                await changed.wait()
        return mirror.list()

    async def kubelet(self) -> None:
        """Pods get a node and become ready; deleted ones end."""
        queue: asyncio.Queue[core_v1.Pod] = asyncio.Queue()
        self.pods.on_change(lambda old, new: queue.put_nowait(new) if new is not None else None)
        for number in range(2, 10_000):
            pod = await queue.get()
            meta = pod.metadata
            try:
                if meta.deletionTimestamp:
                    await self.client.delete(core_v1.Pod, meta.name, meta.namespace, grace=0, uid=meta.uid)
                elif not pod.spec.nodeName:
                    await self.client.bind(pod, "n1")
                    address = f"10.244.{number // 250}.{number % 250 + 1}"
                    ready = {"type": "Ready", "status": "True", "lastTransitionTime": times.rfc3339(1_700_000_000)}
                    patch = {"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
                                        "conditions": [ready]}}
                    await self.client.patch(core_v1.Pod, meta.name, meta.namespace, patch,
                                            kind_of_patch=STRATEGIC_PATCH, subresource="status")
            except (errors.NotFound, errors.Conflict):
                continue  # it is gone, or not the pod any more that the mirror showed


def make_files(folder: Path, port: int) -> ApiServerSettings:
    authority = Authority(folder)
    signing_key(folder / "sa.key")
    authority.issue("apiserver", Identity("kube-apiserver", hosts=("localhost", "127.0.0.1")))
    for name, identity in (("controllers", Identity("system:kube-controller-manager")),
                           ("admin", Identity("kubernetes-admin", groups=("system:masters",)))):
        pair = authority.issue(name, identity)
        kubeconfig.save(folder / f"{name}.kubeconfig", "test", ClientConfig(
            server=f"https://127.0.0.1:{port}", certificate_authority=(folder / "ca.crt").read_bytes(),
            client_certificate=pair.certificate.read_bytes(), client_key=pair.key.read_bytes()))
    return ApiServerSettings(
        tls_cert_file=folder / "apiserver.crt", tls_private_key_file=folder / "apiserver.key",
        client_ca_file=folder / "ca.crt", service_account_signing_key_file=folder / "sa.key",
        advertise_address="192.0.2.1",
        secure_port=port)


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    settings = make_files(tmp_path, free_port())
    tasks = [asyncio.create_task(server.run(settings), name="api server")]
    async with Client(kubeconfig.load(tmp_path / "admin.kubeconfig")) as client:
        async with asyncio.timeout(PATIENCE):
            await ready(client)
        tasks.append(asyncio.create_task(controllers.run(ControllerSettings(tmp_path / "controllers.kubeconfig"))))
        made = Live(client)
        node = core_v1.Node(metadata=meta_v1.ObjectMeta(name="n1"), status=core_v1.NodeStatus(
            conditions=[core_v1.NodeCondition(type="Ready", status="True")]))
        await client.create(node)
        tasks += [asyncio.create_task(made.informers.run()), asyncio.create_task(made.kubelet())]
        yield made
        for task in reversed(tasks):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def ready(client: Client) -> None:
    while True:
        try:
            await client.raw("GET", "/readyz", accept="*/*")
            return
        except (errors.ApiError, HttpError):
            await asyncio.sleep(0.05)  # it is starting, in this very process


async def test_a_deployment_lives_and_goes_with_all_that_is_its_own(live: Live):
    web = await live.client.create(deployment("web"))
    await live.client.create(core_v1.Service(
        metadata=meta_v1.ObjectMeta(name="web", namespace="default"),
        spec=core_v1.ServiceSpec(selector={"app": "web"}, ports=[core_v1.ServicePort(port=80)])))
    await live.until(apps_v1.Deployment, lambda found: found[0].status.availableReplicas == 3)
    await live.until(discovery_v1.EndpointSlice, lambda found: any(len(each.endpoints) == 3 for each in found))

    lost = live.pods.list()[0].metadata
    await live.client.delete(core_v1.Pod, lost.name, lost.namespace)
    await live.until(core_v1.Pod, lambda found: len(found) == 3 and lost.uid not in {p.metadata.uid for p in found})

    patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "v2"}]}}}}
    await live.client.patch(apps_v1.Deployment, "web", "default", patch, kind_of_patch=STRATEGIC_PATCH)
    await live.until(core_v1.Pod, lambda found: {p.spec.containers[0].image for p in found} == {"v2"})
    await live.until(apps_v1.Deployment, lambda found: any(
        each.reason == "NewReplicaSetAvailable" for each in found[0].status.conditions) and
        found[0].status.updatedReplicas == found[0].status.replicas == 3)
    sets = await live.until(apps_v1.ReplicaSet, lambda found: len(found) == 2)
    assert {each.metadata.annotations["deployment.kubernetes.io/revision"] for each in sets} == {"1", "2"}

    await live.client.delete(apps_v1.Deployment, "web", "default", uid=web.metadata.uid, propagation="Background")
    await live.until(apps_v1.ReplicaSet, lambda found: not found)
    await live.until(core_v1.Pod, lambda found: not found)
    events = await live.until(core_v1.Event, lambda found: len(found) > 5)
    assert {"ScalingReplicaSet", "SuccessfulCreate", "SuccessfulDelete"} <= {each.reason for each in events}


async def test_in_the_foreground_a_deployment_goes_after_its_pods(live: Live):
    await live.client.create(deployment("web"))
    await live.until(apps_v1.Deployment, lambda found: found[0].status.availableReplicas == 3)
    await live.client.delete(apps_v1.Deployment, "web", "default", propagation="Foreground")
    await live.until(apps_v1.Deployment, lambda found: not found)
    assert (await live.client.list(core_v1.Pod, "default")).items == []


async def test_orphans_are_left_and_taken_up_by_a_successor(live: Live):
    await live.client.create(deployment("web"))
    await live.until(apps_v1.Deployment, lambda found: found[0].status.availableReplicas == 3)
    before = {pod.metadata.uid for pod in live.pods.list()}
    await live.client.delete(apps_v1.Deployment, "web", "default", propagation="Orphan")
    await live.until(apps_v1.ReplicaSet, lambda found: not found[0].metadata.ownerReferences)
    await live.client.create(deployment("next"))
    await live.until(apps_v1.Deployment, lambda found: [each.status.availableReplicas for each in found] == [3])
    assert {pod.metadata.uid for pod in live.pods.list()} == before


async def test_a_namespace_gets_what_every_one_has_and_goes_with_its_content(live: Live):
    await live.client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="web")))
    await live.until(core_v1.ConfigMap, lambda found: [each.metadata.name for each in found] == ["kube-root-ca.crt"],
                     "web")
    await live.client.delete(core_v1.Namespace, "web")
    await live.until(core_v1.Namespace, lambda found: "web" not in {each.metadata.name for each in found}, "")
    assert (await live.client.list(core_v1.ServiceAccount, "web")).items == []


async def test_a_node_is_given_its_range(live: Live):
    found = await live.until(core_v1.Node, lambda found: bool(found and found[0].spec.podCIDR), "")
    assert found[0].spec.podCIDRs == ["10.244.0.0/24"]


async def test_a_quota_follows_what_is_used_of_any_kind(live: Live):
    hard = {"pods": "2", "configmaps": "9", "count/leases.coordination.k8s.io": "1"}
    await live.client.create(core_v1.ResourceQuota(
        metadata=meta_v1.ObjectMeta(name="q", namespace="default"), spec=core_v1.ResourceQuotaSpec(hard=hard)))

    await live.until(core_v1.ResourceQuota, says(pods="0", configmaps="1"))
    await live.client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="c", namespace="default")))
    await live.until(core_v1.ResourceQuota, says(configmaps="2"))
    await live.client.create(deployment("web"))
    await live.until(core_v1.ResourceQuota, says(pods="2"))
    await live.client.delete(core_v1.ConfigMap, "c", "default")
    await live.until(core_v1.ResourceQuota, says(configmaps="1"))
    await live.client.delete(apps_v1.Deployment, "web", "default")
    await live.until(core_v1.ResourceQuota, says(pods="0"))


async def test_custom_objects_go_with_their_owners_and_with_their_namespace(live: Live):
    await live.client.raw("POST", DEFINITIONS, body=msgspec.json.encode(definition()))
    await live.client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="web")))
    foos = Kind("example.com", "v1", "Foo", "foos")

    async def make(name: str, **meta: Any) -> str:
        body = msgspec.json.encode(foo(name, metadata={"name": name, **meta}))
        while True:
            try:
                made = await live.client.raw("POST", foos.path("web"), body=body)
            except errors.NotFound:
                await asyncio.sleep(0.05)  # the definition is not established yet
            else:
                return str(msgspec.json.decode(made)["metadata"]["uid"])

    def told(text: str) -> Callable[[list[Any]], bool]:
        return lambda found: any(text in each.message for made in found for each in made.status.conditions or ())

    owner = await make("owner")
    by = {"apiVersion": "example.com/v1", "kind": "Foo", "name": "owner", "uid": owner}
    await make("owned", ownerReferences=[by])
    await make("other", finalizers=["example.com/held"])
    await live.client.delete(Partial, "owner", "web", kind=foos)
    await live.until(Partial, lambda found: [each.metadata.name for each in found] == ["other"], "web", foos)
    await live.client.delete(core_v1.Namespace, "web")
    await live.until(core_v1.Namespace, told("Some resources are remaining: foos.example.com has 1 resource instances"),
                     "")
    await live.until(core_v1.Namespace, told("finalizers remaining: example.com/held in 1 resource instances"), "")
    await live.client.patch(Partial, "other", "web", {"metadata": {"finalizers": None}}, kind=foos)
    await live.until(core_v1.Namespace, lambda found: "web" not in {each.metadata.name for each in found}, "")


async def test_expressions_of_a_policy_are_checked_against_the_types_that_it_names(live: Live):
    sized = version(schema={"type": "object", "properties": {"size": {"type": "integer"}}})
    await live.client.raw("POST", DEFINITIONS, body=msgspec.json.encode(definition(sized)))
    rules = [{"apiGroups": [group], "apiVersions": ["v1"], "operations": ["*"], "resources": [resource]}
             for group, resource in (("apps", "deployments"), ("example.com", "foos"))]
    expressions = ("has(object.metadata.name)", "object.spec.replicas > 1", "object.spec.size > '1'")
    await live.client.create(msgspec.convert({"metadata": {"name": "typed"}, "spec": {
        "matchConstraints": {"resourceRules": rules}, "validations": [{"expression": each} for each in expressions]}},
        admissionregistration_v1.ValidatingAdmissionPolicy))

    def warned(policies: list[admissionregistration_v1.ValidatingAdmissionPolicy]) -> list[tuple[str, str]]:
        checked = policies[0].status.typeChecking if policies else None
        warnings = checked.expressionWarnings if checked else []
        return [(each.fieldRef, line.partition(": ERROR: ")[0]) for each in warnings
                for line in each.warning.splitlines() if "ERROR" in line]
    await live.until(admissionregistration_v1.ValidatingAdmissionPolicy, lambda found: warned(found) == [
        ("spec.validations[1].expression", "example.com/v1, Kind=Foo"),
        ("spec.validations[2].expression", "apps/v1, Kind=Deployment"),
        ("spec.validations[2].expression", "example.com/v1, Kind=Foo")], "")


def says(**used: str) -> Callable[[list[Any]], bool]:
    """Whether every quota that limits one of these resources says that so much of it is used."""
    def holds(found: list[Any]) -> bool:
        return bool(found) and all(quota.status.used.get(name) == amount for quota in found
                                   for name, amount in used.items() if name in quota.spec.hard)
    return holds


async def test_quotas_with_scopes_follow_the_pods_that_they_are_about(live: Live):
    def quota(name: str, hard: dict[str, str], *scopes: str) -> core_v1.ResourceQuota:
        return core_v1.ResourceQuota(metadata=meta_v1.ObjectMeta(name=name, namespace="default"),
                                     spec=core_v1.ResourceQuotaSpec(hard=hard, scopes=list(scopes)))

    for made in (quota("short", {"pods": "5"}, "Terminating"), quota("long", {"pods": "5"}, "NotTerminating"),
                 quota("poor", {"pods": "1"}, "BestEffort")):
        await live.client.create(made)
    await live.until(core_v1.ResourceQuota, lambda found: len(found) == 3 and says(pods="0")(found))

    def pod(name: str, **spec: Any) -> core_v1.Pod:
        container = core_v1.Container(name="c", image="i")
        return core_v1.Pod(metadata=meta_v1.ObjectMeta(name=name, namespace="default"),
                           spec=core_v1.PodSpec(containers=[container], **spec))

    await live.client.create(pod("job", activeDeadlineSeconds=3600))

    def counts(**wanted: str) -> Callable[[list[Any]], bool]:
        return lambda found: {quota.metadata.name: quota.status.used.get("pods") for quota in found} == wanted

    await live.until(core_v1.ResourceQuota, counts(short="1", long="0", poor="1"))
    with pytest.raises(errors.Forbidden, match="exceeded quota: poor, requested: pods=1, used: pods=1, limited"):
        await live.client.create(pod("more"))
    await live.client.delete(core_v1.Pod, "job", "default")
    await live.until(core_v1.ResourceQuota, counts(short="0", long="0", poor="0"))


async def test_a_quota_counts_a_custom_kind_from_the_moment_it_is_served(live: Live):
    name = "count/foos.example.com"
    await live.client.create(core_v1.ResourceQuota(
        metadata=meta_v1.ObjectMeta(name="q", namespace="default"), spec=core_v1.ResourceQuotaSpec(hard={name: "1"})))
    await live.until(core_v1.ResourceQuota, lambda found: bool(found) and found[0].status.hard == {name: "1"})
    await live.client.raw("POST", DEFINITIONS, body=msgspec.json.encode(definition()))
    await live.until(core_v1.ResourceQuota, says(**{name: "0"}))
    foos = "/apis/example.com/v1/namespaces/default/foos"
    await live.client.raw("POST", foos, body=msgspec.json.encode(foo("a")))
    await live.until(core_v1.ResourceQuota, says(**{name: "1"}))
    with pytest.raises(errors.Forbidden, match="exceeded quota: q"):
        await live.client.raw("POST", foos, body=msgspec.json.encode(foo("b")))
    await live.client.raw("DELETE", f"{foos}/a")
    await live.until(core_v1.ResourceQuota, says(**{name: "0"}))
