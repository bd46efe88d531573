"""Container images as OCI archives, made from files in memory.

Source: OCI Image Format Specification 1.0 (layout, manifest, configuration); `io.containerd.image.name` in the index's
annotations is how containerd learns the full name.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from timonier.cluster.images.pause import GOARCH

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, slots=True)
class File:
    """A regular file of an image; `link` makes it a symbolic link to that path instead."""

    content: bytes = b""
    mode: int = 0o644
    link: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """An image to make: its full name (`docker.io/library/web:v1`), its files by path, and how it runs."""

    name: str
    files: Mapping[str, File]
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""


def archive(*images: Image) -> bytes:
    """An OCI archive (a tar) that holds the images; equal images give equal bytes."""
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, media: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(content)}

    manifests = []
    for image in images:
        layer = layer_of(image.files)
        config = blob(encode(configuration(image, layer)), CONFIG)
        packed = blob(gzip.compress(layer, compresslevel=1, mtime=0), LAYER)
        manifest = blob(encode({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [packed]}),
                        MANIFEST)
        tag = image.name.rpartition(":")[2]
        manifests.append(manifest | {"annotations": {"io.containerd.image.name": image.name,
                                                     "org.opencontainers.image.ref.name": tag}})
    index = encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
    return tar({"oci-layout": File(encode({"imageLayoutVersion": "1.0.0"})), "index.json": File(index)}
               | {path: File(content) for path, content in blobs.items()})


def configuration(image: Image, layer: bytes) -> dict[str, Any]:
    machine = platform.machine()
    run = {"Entrypoint": list(image.entrypoint), "Cmd": list(image.command), "WorkingDir": image.workdir,
           "User": image.user, "Env": [f"{name}={value}" for name, value in image.env.items()]}
    return {"architecture": GOARCH.get(machine, machine), "os": "linux",
            "config": {key: value for key, value in run.items() if value},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}}


def layer_of(files: Mapping[str, File]) -> bytes:
    return tar({path.lstrip("/"): file for path, file in files.items()}, folders=True)


def tar(files: Mapping[str, File], *, folders: bool = False) -> bytes:
    """A tar with fixed owners and times; `folders` adds an entry for each directory on the way."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as bundle:
        made: set[str] = set()
        for path, file in files.items():
            parts = path.split("/")[:-1]
            for depth in range(1, len(parts) + 1) if folders else ():
                folder = "/".join(parts[:depth])
                if folder not in made:
                    made.add(folder)
                    entry = tarfile.TarInfo(folder)
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
                    bundle.addfile(entry)
            entry = tarfile.TarInfo(path)
            if file.link:
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, file.link, 0o777
                bundle.addfile(entry)
            else:
                entry.size, entry.mode = len(file.content), file.mode
                bundle.addfile(entry, io.BytesIO(file.content))
    return stream.getvalue()


def encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
