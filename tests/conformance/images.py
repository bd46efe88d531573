"""The images that the suite's pods run, as far as they can be made from programs of Go's modules and Debian's packages.

They have the names and the entry points of the originals; what stands around the programs is busybox. nginx is a web
server of busybox's that says what nginx would say.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from conformance.programs import program
from timonier.cluster.images.archive import File, Image, archive
from timonier.cluster.images.busybox import busybox

REGISTRY = "registry.k8s.io"
AGNHOST, BUSYBOX, NGINX, SAMPLE = ("2.66.1", "2.55"), "1.37.0-2", ("1.27.0-2", "1.28.0-2"), "1.29.2"
PAUSE, ETCD = "3.10.2", "3.7.0-0"
PAGE = b"<html><head><title>Welcome to nginx!</title></head><body>Welcome to nginx!</body></html>\n"


def images() -> list[Image]:
    """All of them."""
    tests = f"{REGISTRY}/e2e-test-images"
    agnhost = {"/agnhost": executable(program("agnhost"))}
    made = [busybox(f"{tests}/agnhost:{version}", files=agnhost, entrypoint=("/agnhost",), command=("pause",))
            for version in AGNHOST]
    made.append(busybox(f"{REGISTRY}/pause:{PAUSE}", files=agnhost, entrypoint=("/agnhost", "pause"), command=()))
    made.append(busybox(f"{tests}/busybox:{BUSYBOX}"))
    made += [busybox(f"{tests}/nginx:{version}", files={"/usr/share/nginx/html/index.html": File(PAGE)},
                     command=("httpd", "-f", "-p", "80", "-h", "/usr/share/nginx/html")) for version in NGINX]
    made.append(busybox(f"{tests}/sample-apiserver:{SAMPLE}", entrypoint=("/sample-apiserver",), command=(),
                        files={"/sample-apiserver": executable(program("sample-apiserver"))}))
    if etcd := shutil.which("etcd"):
        made.append(busybox(f"{REGISTRY}/etcd:{ETCD}", files=with_libraries("/usr/local/bin/etcd", Path(etcd))))
    return made


def write(path: Path) -> Path:
    """An archive of all images."""
    path.write_bytes(archive(*images()))
    return path


def executable(path: Path) -> File:
    return File(path.read_bytes(), 0o755)


def with_libraries(place: str, program: Path) -> dict[str, File]:
    """A program, and the libraries that it is linked with."""
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
    paths = [word for line in listed.splitlines() for word in line.split() if word.startswith("/")]
    return {place: executable(program)} | {each: executable(Path(each).resolve()) for each in paths}
