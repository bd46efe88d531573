"""What volumes hold, how they are written, and how they stay inside themselves."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.kubelet_bench import FakeApi, make_pod

from timonier.api.types import core_v1
from timonier.kit.clock import FakeClock
from timonier.node.kubelet.environment import Objects
from timonier.node.kubelet.fields import NOWHERE
from timonier.node.kubelet.volumes import atomic, host_path, mounts, subpath
from timonier.node.kubelet.volumes.atomic import File
from timonier.node.kubelet.volumes.contents import Inputs, VolumeError, files
from timonier.node.kubelet.volumes.manager import Volumes

OBJECTS = Objects({"conf": core_v1.ConfigMap(data={"a": "1", "b": "2"}, binaryData={"bin": b"\x00"}), "gone": None},
                  {"hidden": core_v1.Secret(data={"key": b"s"})})


def held(volume: dict[str, object]) -> dict[str, tuple[bytes, int]]:
    made = msgspec.convert({"name": "v"} | volume, core_v1.Volume)
    pod = make_pod("web")
    pod.metadata.labels = {"app": "web"}
    return {path: (file.data, file.mode) for path, file in files(made, Inputs(pod, OBJECTS)).items()}


def test_config_map_shows_all_keys_or_those_chosen() -> None:
    assert held({"configMap": {"name": "conf"}}) == {"a": (b"1", 0o644), "b": (b"2", 0o644), "bin": (b"\x00", 0o644)}
    chosen = {"configMap": {"name": "conf", "defaultMode": 0o400, "items": [
        {"key": "a", "path": "deep/a"}, {"key": "b", "path": "b", "mode": 0o777}]}}
    assert held(chosen) == {"deep/a": (b"1", 0o400), "b": (b"2", 0o777)}


def test_missing_objects_and_keys_are_errors_unless_optional() -> None:
    with pytest.raises(VolumeError, match='configmap "gone" not found'):
        held({"configMap": {"name": "gone"}})
    with pytest.raises(VolumeError, match="references non-existent secret key: nope"):
        held({"secret": {"secretName": "hidden", "items": [{"key": "nope", "path": "x"}]}})
    assert held({"configMap": {"name": "gone", "optional": True}}) == {}


def test_projected_volume_merges_its_sources() -> None:
    sources = [{"configMap": {"name": "conf", "items": [{"key": "a", "path": "a"}]}},
               {"secret": {"name": "hidden"}},
               {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]
    assert held({"projected": {"sources": sources, "defaultMode": 0o440}}) == {
        "a": (b"1", 0o440), "key": (b"s", 0o440), "labels": (b'app="web"', 0o440)}


def shown(folder: Path) -> dict[str, bytes]:
    """What a program that knows nothing of the layout finds."""
    return {str(path.relative_to(folder)): path.read_bytes() for name in os.listdir(folder) if not name.startswith("..")
            for path in ([folder / name] if (folder / name).is_file() else sorted((folder / name).rglob("*")))
            if path.is_file()}


names_ = st.sampled_from(["a", "b", "c/d", "c/e", "f/g/h"])
contents_ = st.dictionaries(names_, st.binary(max_size=4), max_size=5)


@given(st.lists(contents_, min_size=1, max_size=4))
def test_volume_shows_exactly_what_was_written_last(versions: list[dict[str, bytes]]) -> None:
    import tempfile
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for version in versions:
            atomic.write(folder, {path: File(data) for path, data in version.items()})
            assert shown(folder) == version
        assert len([entry for entry in os.listdir(folder) if entry.startswith("..2")]) == 1


def test_writing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    assert atomic.write(tmp_path, {"a": File(b"1")})
    before = os.readlink(tmp_path / "..data")
    assert not atomic.write(tmp_path, {"a": File(b"1")})
    assert os.readlink(tmp_path / "..data") == before
    assert atomic.write(tmp_path, {"a": File(b"1", 0o600)})


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../b", "..data", "..x", ""])
def test_file_names_do_not_lead_out_of_the_volume(tmp_path: Path, path: str) -> None:
    with pytest.raises(atomic.BadPath):
        atomic.write(tmp_path, {path: File(b"")})


def test_interrupted_write_is_made_good_by_the_next(tmp_path: Path) -> None:
    atomic.write(tmp_path, {"a": File(b"1")})
    (tmp_path / "..data_tmp").symlink_to("nowhere")
    atomic.write(tmp_path, {"a": File(b"2")})
    assert shown(tmp_path) == {"a": b"2"}


async def test_token_is_kept_for_most_of_its_life_and_then_replaced(tmp_path: Path) -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    volumes = Volumes(tmp_path, api, clock, tmpfs=False)
    pod = make_pod(volumes=[{"name": "t", "projected": {"sources": [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 1000}}]}}])
    file = volumes.path(pod.metadata.uid, pod.spec.volumes[0]) / "token"
    await volumes.set_up(pod, NOWHERE)
    await clock.advance(790)
    await volumes.set_up(pod, NOWHERE)
    assert file.read_text() == "token-1"
    await clock.advance(20)
    await volumes.set_up(pod, NOWHERE)
    assert file.read_text() == "token-2"


async def test_empty_dir_keeps_what_is_in_it_when_the_kubelet_returns(tmp_path: Path) -> None:
    pod = make_pod(volumes=[{"name": "v", "emptyDir": {}}])
    first = Volumes(tmp_path, FakeApi(FakeClock()), FakeClock(), tmpfs=False)
    await first.set_up(pod, NOWHERE)
    where = first.path(pod.metadata.uid, pod.spec.volumes[0])
    assert where.stat().st_mode & 0o7777 == 0o777
    (where / "data").write_text("kept")
    where.chmod(0o700)
    await Volumes(tmp_path, FakeApi(FakeClock()), FakeClock(), tmpfs=False).set_up(pod, NOWHERE)
    assert (where / "data").read_text() == "kept"
    assert where.stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize(("kind", "make", "wrong"), [
    ("Directory", "file", "is not a directory"), ("File", "folder", "is not a file"), ("File", "", "is not a file"),
    ("Socket", "file", "is not a socket"), ("BlockDevice", "file", "is not a block device"),
    ("DirectoryOrCreate", "file", "is not a directory"),
])
def test_host_path_must_be_what_it_is_said_to_be(tmp_path: Path, kind: str, make: str, wrong: str) -> None:
    path = tmp_path / "x"
    if make == "file":
        path.touch()
    elif make == "folder":
        path.mkdir()
    with pytest.raises(VolumeError, match=wrong):
        host_path.prepare(str(path), kind)


def test_host_path_is_made_where_its_type_says_so(tmp_path: Path) -> None:
    assert host_path.prepare(str(tmp_path / "a/b"), "DirectoryOrCreate").is_dir()
    assert host_path.prepare(str(tmp_path / "f"), "FileOrCreate").is_file()
    assert not host_path.prepare(str(tmp_path / "any"), "").exists()


def test_sub_path_is_reached_without_following_links_out(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "inner").mkdir(parents=True)
    (volume / "inside").symlink_to("inner")
    (volume / "outside").symlink_to("/etc")
    (volume / "up").symlink_to("../..")
    os.close(subpath.reach(volume, "inside"))
    os.close(subpath.reach(volume, "new/made"))
    assert (volume / "new/made").is_dir()
    for path in ("outside", "outside/ssh", "up", "up/x"):
        with pytest.raises(VolumeError, match="outside of the volume"):
            subpath.reach(volume, path)
    with pytest.raises(VolumeError, match="relative"):
        subpath.bind(volume, "../x", tmp_path / "t")


@pytest.mark.machine
def test_removing_a_pod_directory_spares_what_is_mounted_in_it(tmp_path: Path) -> None:
    from timonier.node.kubelet.volumes.manager import remove
    precious, folder = tmp_path / "precious", tmp_path / "pod"
    precious.mkdir()
    (precious / "file").write_text("kept")
    (folder / "volume-subpaths").mkdir(parents=True)
    subpath.bind(tmp_path, "precious", folder / "volume-subpaths" / "0")
    assert mounts.is_mounted(folder / "volume-subpaths" / "0")
    remove(folder)
    assert not folder.exists()
    assert (precious / "file").read_text() == "kept"
