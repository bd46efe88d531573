"""Garbage collection: agrees with plain reachability, and keeps the promise of each deletion policy."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from timonier.api.kinds import Kind, find
from timonier.api.types import meta_v1
from timonier.client.client import BACKGROUND
from timonier.client.client import FOREGROUND as IN_FOREGROUND
from timonier.controllers.garbage.controller import plan_of
from timonier.controllers.garbage.graph import FOREGROUND, ORPHAN, Fate, Graph
from timonier.reconcile.plan import Delete, Outcome, Patch, Plan

CONFIG_MAP, NODE = find("v1", "ConfigMap"), find("v1", "Node")
assert CONFIG_MAP is not None
assert NODE is not None


def reference(uid: str, *, blocks: bool = True, kind: str = "ConfigMap") -> meta_v1.OwnerReference:
    return meta_v1.OwnerReference(apiVersion="v1", kind=kind, name=uid, uid=uid, blockOwnerDeletion=blocks)


def meta(uid: str, *owners: str, namespace: str = "default", blocks: bool = True,
         finalizers: tuple[str, ...] = (), deleting: bool = False) -> meta_v1.ObjectMeta:
    return meta_v1.ObjectMeta(name=uid, uid=uid, namespace=namespace, resourceVersion="1", finalizers=[*finalizers],
                              ownerReferences=[reference(owner, blocks=blocks) for owner in owners],
                              deletionTimestamp="2026-01-01T00:00:00Z" if deleting else "")


class World:
    """An API server of metadata: applies plans, and tells the graph and its queue of every change."""

    def __init__(self, *objects: meta_v1.ObjectMeta) -> None:
        self.graph, self.queue = Graph(), []
        self.objects: dict[str, meta_v1.ObjectMeta] = {}
        self.deletions: list[Delete] = []
        for each in objects:
            self.put(each)

    def put(self, new: meta_v1.ObjectMeta, kind: Kind = CONFIG_MAP) -> None:
        old = self.objects.get(new.uid)
        self.objects[new.uid] = new
        self.queue += self.graph.change(kind, old, new)

    def remove(self, uid: str) -> None:
        old = self.objects.pop(uid)
        self.queue += self.graph.change(CONFIG_MAP, old, None)

    def delete(self, uid: str, policy: str) -> None:
        """As the API server does: a policy other than Background is a finalizer."""
        if uid not in self.objects:
            return
        old = self.objects[uid]
        finalizer = {"Foreground": [FOREGROUND], "Orphan": [ORPHAN]}.get(policy, [])
        finalizers = [*dict.fromkeys(old.finalizers + finalizer)]
        if finalizers:
            self.put(changed(old, finalizers=finalizers, deletionTimestamp="2026-01-01T00:00:00Z"))
        else:
            self.remove(uid)

    def apply(self, plan: Plan) -> None:
        assert all(each.uid not in self.objects for each in plan.absent)
        for patch in plan.patch:
            self.patch(patch)
        for deletion in plan.delete:
            self.deletions.append(deletion)
            self.delete(deletion.uid, deletion.propagation)
        if plan.then is not None:
            self.apply(plan.then(Outcome()))

    def patch(self, patch: Patch) -> None:
        change = patch.patch["metadata"]
        old = self.objects[change["uid"]]
        fields = {}
        if "finalizers" in change:
            fields["finalizers"] = change["finalizers"]
        if "ownerReferences" in change:
            fields["ownerReferences"] = [meta_v1.OwnerReference(**each) for each in change["ownerReferences"]]
        new = changed(old, **fields)
        self.put(new)
        if new.deletionTimestamp and not new.finalizers:
            self.remove(new.uid)

    def settle(self) -> None:
        """Work through the queue in its order; it has to come to an end."""
        for _ in range(5000):
            if not self.queue:
                return
            item = self.graph.items.get(self.queue.pop(0))
            if item is not None:
                self.apply(plan_of(self.graph, item, self.graph.judge(item), []))
        raise AssertionError("no end")


def changed(old: meta_v1.ObjectMeta, **fields) -> meta_v1.ObjectMeta:
    names = ("name", "uid", "namespace", "resourceVersion", "finalizers", "ownerReferences", "deletionTimestamp")
    return meta_v1.ObjectMeta(**({name: getattr(old, name) for name in names} | fields))


def survivors(objects: dict[str, list[str]], removed: set[str]) -> set[str]:
    """The oracle: an object lives as long as it has no owner, or one that lives."""
    alive = set(objects) - removed
    while True:
        dead = {uid for uid in alive if objects[uid] and not alive & set(objects[uid])}
        if not dead:
            return alive
        alive -= dead


@st.composite
def forests(draw: st.DrawFn) -> dict[str, list[str]]:
    """Who is owned by whom; owners come before what they own."""
    count = draw(st.integers(1, 12))
    return {str(n): sorted({str(owner) for owner in draw(st.lists(st.integers(0, n - 1), max_size=2))}) if n else []
            for n in range(count)}


@settings(deadline=None)
@given(forests(), st.data())
def test_what_remains_is_what_can_be_reached(owners, data):
    victims = data.draw(st.sets(st.sampled_from(sorted(owners)), max_size=3))
    policy = data.draw(st.sampled_from(["Background", "Foreground"]))
    world = World(*(meta(uid, *held) for uid, held in owners.items()))
    world.settle()
    assert set(world.objects) == set(owners)
    for victim in sorted(victims):
        world.delete(victim, policy)
    data.draw(st.randoms()).shuffle(world.queue)
    world.settle()
    assert set(world.objects) == survivors(owners, victims)


@given(forests())
def test_orphaning_keeps_everything_else(owners):
    world = World(*(meta(uid, *held) for uid, held in owners.items()))
    world.delete("0", "Orphan")
    world.settle()
    assert set(world.objects) == set(owners) - {"0"}
    assert all("0" not in {owner.uid for owner in each.ownerReferences} for each in world.objects.values())


def test_in_the_foreground_owners_go_last():
    world = World(meta("deployment"), meta("set", "deployment"), meta("pod", "set"))
    order = []
    remove = world.remove
    world.remove = lambda uid: (order.append(uid), remove(uid))  # type: ignore[method-assign]
    world.delete("deployment", "Foreground")
    world.settle()
    assert order == ["pod", "set", "deployment"]


def test_in_the_foreground_only_those_who_block_are_awaited():
    world = World(meta("owner"), meta("owned", "owner", blocks=False, finalizers=("example.com/keep",)))
    world.delete("owner", "Foreground")
    world.settle()
    assert set(world.objects) == {"owned"}


def test_an_owner_waits_for_a_dependent_that_something_holds():
    world = World(meta("owner"), meta("owned", "owner", finalizers=("example.com/keep",)))
    world.delete("owner", "Foreground")
    world.settle()
    assert set(world.objects) == {"owner", "owned"}
    world.put(changed(world.objects["owned"], finalizers=[]))
    world.remove("owned")
    world.settle()
    assert world.objects == {}


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(0, 3), st.data())
def test_a_circle_of_owners_does_not_wait_for_itself(length, more, data):
    ring = [meta(f"ring{n}", f"ring{(n - 1) % length}") for n in range(length)]
    world = World(*ring, *(meta(f"more{n}", f"ring{n % length}") for n in range(more)))
    world.delete("ring0", "Foreground")
    data.draw(st.randoms()).shuffle(world.queue)
    world.settle()
    assert world.objects == {}


def test_a_circle_waits_for_what_something_holds():
    world = World(meta("one", "two"), meta("two", "one"), meta("owned", "one", finalizers=("example.com/keep",)))
    world.delete("one", "Foreground")
    world.settle()
    assert set(world.objects) == {"one", "two", "owned"}


def test_one_of_two_owners_gone_is_forgotten():
    world = World(meta("a"), meta("b"), meta("owned", "a", "b"))
    world.delete("a", "Background")
    world.settle()
    assert [each.uid for each in world.objects["owned"].ownerReferences] == ["b"]


def test_deletions_hit_the_version_that_was_judged():
    world = World(meta("owned", "gone"))
    world.settle()
    deletion = world.deletions[0]
    assert (deletion.uid, deletion.resourceVersion, deletion.propagation) == ("owned", "1", BACKGROUND)


def test_an_owner_in_another_namespace_owns_nothing():
    graph = Graph()
    [*graph.change(CONFIG_MAP, None, meta("owner", namespace="other"))]
    [*graph.change(CONFIG_MAP, None, meta("owned", "owner"))]
    verdict = graph.judge(graph.items["owned"])
    assert (verdict.fate, [each.uid for each in verdict.absent]) == (Fate.DELETE, ["owner"])


def test_an_owner_without_namespace_owns_anywhere():
    graph = Graph()
    [*graph.change(NODE, None, meta("owner", namespace=""))]
    [*graph.change(CONFIG_MAP, None, meta("owned", "owner"))]
    assert graph.judge(graph.items["owned"]).fate is Fate.STAY


def test_the_dependents_of_what_waits_go_in_the_foreground_too():
    graph = Graph()
    for each in (meta("owner", finalizers=(FOREGROUND,), deleting=True), meta("set", "owner"), meta("pod", "set")):
        [*graph.change(CONFIG_MAP, None, each)]
    item = graph.items["set"]
    assert plan_of(graph, item, graph.judge(item), []).delete[0].propagation == IN_FOREGROUND
