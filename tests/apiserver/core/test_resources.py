"""The kinds that a server serves: built-in ones, and those that come and go."""

from __future__ import annotations

from dataclasses import replace

from timonier.api.kinds import BY_ID, KINDS, Kind
from timonier.apiserver.resources import Resources

BACKUP = Kind("example.com", "v1", "Backup", "backups", storage="example.com/v1")


def test_built_in_kinds_are_there_from_the_start():
    assert list(Resources()) == list(KINDS)
    assert Resources().at("apps", "v1", "deployments") is BY_ID["apps/v1/Deployment"]


def test_a_kind_that_is_put_is_found_by_path_and_by_id_until_it_is_dropped():
    resources = Resources()
    resources.put("backups.example.com", [BACKUP])
    assert resources.at("example.com", "v1", "backups") is resources.find("example.com/v1", "Backup") is BACKUP
    resources.drop("backups.example.com")
    assert resources.at("example.com", "v1", "backups") is None is resources.find("example.com/v1", "Backup")


def test_what_is_put_anew_takes_the_place_of_what_the_owner_had():
    resources = Resources()
    resources.put("backups.example.com", [BACKUP])
    resources.put("backups.example.com", [replace(BACKUP, version="v2", storage="example.com/v2")])
    assert [kind.version for kind in resources if kind.group == "example.com"] == ["v2"]


def test_changes_are_counted_only_where_something_changed():
    resources = Resources()
    resources.put("backups.example.com", [BACKUP])
    before = resources.changes
    resources.put("backups.example.com", [BACKUP])
    resources.drop("nobody")
    assert resources.changes == before
    resources.drop("backups.example.com")
    assert resources.changes > before


def test_a_version_for_storage_alone_is_not_served():
    resources = Resources()
    old = replace(BACKUP, version="v1alpha1", served=False, storage="example.com/v1alpha1")
    new = replace(BACKUP, storage="example.com/v1alpha1")
    resources.put("backups.example.com", [old, new])
    assert resources.at("example.com", "v1alpha1", "backups") is None
    assert resources.find("example.com/v1alpha1", "Backup") is None
    assert resources.stored(new) is old


def test_a_built_in_kind_is_never_hidden():
    resources = Resources()
    resources.put("deployments.apps", [replace(BACKUP, group="apps", kind="Deployment", plural="deployments")])
    assert resources.at("apps", "v1", "deployments") is BY_ID["apps/v1/Deployment"]
