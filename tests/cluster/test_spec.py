import threading

import pytest

from timonier.cluster import spec as specs
from timonier.cluster.spec import ClusterError, ClusterSpec


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    monkeypatch.setattr(specs, "STATE", tmp_path / "state")
    monkeypatch.setattr(specs, "RUN", tmp_path / "run")


def test_a_saved_spec_is_loaded_again():
    made = ClusterSpec("one", index=3, nodes=2, stopped=("node-2",))
    made.save()
    assert specs.load("one") == made
    assert specs.known() == [made]


def test_an_unknown_cluster_is_none():
    assert specs.load("nothing") is None


def test_a_damaged_spec_says_how_to_get_rid_of_it():
    ClusterSpec("one").save()
    (specs.STATE / "one" / "cluster.json").write_text("{")
    with pytest.raises(ClusterError, match="timonier delete --name one"):
        specs.load("one")


def test_clusters_get_different_subnets_bridges_and_links():
    ClusterSpec("one", index=0).save()
    assert specs.free_index() == 1
    one, two = ClusterSpec("one", index=0), ClusterSpec("two", index=1)
    assert one.bridge != two.bridge
    assert not one.subnet.overlaps(two.subnet)
    assert one.node(1).link != two.node(1).link


def test_link_names_fit_the_kernel():
    widest = ClusterSpec("x", index=specs.MAX_CLUSTERS - 1, nodes=specs.MAX_NODES)
    assert len(widest.node(specs.MAX_NODES).link) <= 15


@pytest.mark.parametrize("name", ["", "Upper", "-dash", "dash-", "a/b", "..", "x" * 31])
def test_bad_names_are_refused(name):
    with pytest.raises(ClusterError):
        ClusterSpec(name)


@pytest.mark.parametrize("nodes", [0, -1, 201])
def test_a_cluster_has_a_sensible_number_of_nodes(nodes):
    with pytest.raises(ClusterError, match="--nodes"):
        ClusterSpec(nodes=nodes)


def test_service_addresses_are_those_that_kubernetes_users_know():
    assert ClusterSpec().service_gateway == "10.96.0.1"
    assert ClusterSpec().dns_address == "10.96.0.10"


def test_choosing_an_index_leaves_no_folder_where_nothing_was_saved():
    with specs.exclusive():
        assert specs.free_index() == 0
    assert not specs.STATE.exists()


def test_two_commands_do_not_choose_the_same_index():
    chosen = []

    def choose(name):
        with specs.exclusive():
            spec = ClusterSpec(name, index=specs.free_index())
            spec.save()
            chosen.append(spec.index)

    threads = [threading.Thread(target=choose, args=(f"c{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(chosen) == list(range(8))
