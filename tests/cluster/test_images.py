import hashlib
import io
import json
import platform
import struct
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from timonier.cluster import containerd
from timonier.cluster.images import pause
from timonier.cluster.images.archive import File, Image, archive
from timonier.cluster.images.busybox import needs_loader


def opened(content):
    return tarfile.open(fileobj=io.BytesIO(content))


def test_equal_images_give_equal_archives():
    image = Image("a/b:c", {"/x/y": File(b"z")}, entrypoint=["/x/y"])
    assert archive(image) == archive(image)


def test_every_blob_is_named_by_its_digest_and_reachable_from_the_index():
    with opened(archive(Image("host/one:v1", {"/f": File(b"1", 0o755)}), Image("host/two:v2", {}))) as bundle:
        content = {m.name: bundle.extractfile(m).read() for m in bundle if m.isfile()}
    index = json.loads(content["index.json"])
    assert [m["annotations"]["io.containerd.image.name"] for m in index["manifests"]] == ["host/one:v1", "host/two:v2"]
    for described in index["manifests"]:
        manifest = json.loads(content["blobs/sha256/" + described["digest"].removeprefix("sha256:")])
        for blob in (described, manifest["config"], *manifest["layers"]):
            bytes_ = content["blobs/sha256/" + blob["digest"].removeprefix("sha256:")]
            assert hashlib.sha256(bytes_).hexdigest() == blob["digest"].removeprefix("sha256:")
            assert len(bytes_) == blob["size"]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_pause_program_is_one_loadable_segment(machine):
    program = pause.program(machine)
    assert program[:4] == b"\x7fELF"
    assert struct.unpack_from("<H", program, 18)[0] == pause.MACHINES[machine]
    size = struct.unpack_from("<Q", program, pause.ELF_HEADER + 32)[0]
    assert size == len(program)
    assert not needs_loader(program)


@pytest.mark.skipif(platform.machine() not in pause.MACHINES, reason="no pause program for this processor")
def test_the_pause_program_waits_until_it_is_ended(tmp_path):
    file = tmp_path / "pause"
    file.write_bytes(pause.program())
    file.chmod(0o755)
    process = subprocess.Popen([file])
    try:
        deadline = time.monotonic() + 5
        stat = Path(f"/proc/{process.pid}/stat")
        while (state := stat.read_text().split()[2]) != "S" and time.monotonic() < deadline:
            assert process.poll() is None
        assert state == "S"
    finally:
        process.kill()
        process.wait()


def test_images_that_were_loaded_are_told_from_those_that_were_pulled():
    digest = "@sha256:" + "0" * 64
    names = ["docker.io/library/nginx:1", "docker.io/library/nginx" + digest, "sha256:" + "0" * 64,
             "localhost:5000/app:v1", containerd.PAUSE_IMAGE]
    assert containerd.loaded(names) == ["localhost:5000/app:v1"]
