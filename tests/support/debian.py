"""Files of Debian packages, fetched from the archive when a test needs them and kept in the checkout's cache.

Only tests read them, as oracles; nothing of them is part of the project.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
import tempfile
import urllib.request
from functools import cache
from pathlib import Path

ARCHIVE, SUITE = "http://deb.debian.org/debian", "sid"
CACHE = Path(__file__).parents[2] / ".cache" / "debian"
SECONDS = 120


@cache
def package(name: str) -> Path:
    """The folder into which a package for all architectures is unpacked. Raises where there is none."""
    folder = CACHE / name
    if not folder.exists():
        print(f"Fetching {name}, for the tests, into {folder}", flush=True)
        entry = described(name)
        content = fetched(f"{ARCHIVE}/{entry['Filename']}")
        if hashlib.sha256(content).hexdigest() != entry["SHA256"]:
            raise RuntimeError(f"{entry['Filename']} is not what the archive's index describes")
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as draft:
            with tarfile.open(fileobj=io.BytesIO(data_of(content))) as files:
                files.extractall(f"{draft}/files", filter="data")
            try:
                Path(draft, "files").rename(folder)
            except OSError:
                if not folder.exists():  # else another process was faster
                    raise
    return folder


def described(name: str) -> dict[str, str]:
    """A package's entry in the archive's index."""
    index = lzma.decompress(fetched(f"{ARCHIVE}/dists/{SUITE}/main/binary-all/Packages.xz")).decode()
    start = index.find(f"Package: {name}\n")
    if start < 0:
        raise RuntimeError(f"there is no package {name} in Debian {SUITE}")
    lines = index[start:].split("\n\n", 1)[0].splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line and not line.startswith(" "))


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        content: bytes = answer.read()
        return content


def data_of(package_file: bytes) -> bytes:
    """The tar archive of files in a .deb, which is an `ar` archive of three members."""
    at = len(b"!<arch>\n")
    while at < len(package_file):
        header = package_file[at:at + 60]
        name, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
        content = package_file[at + 60:at + 60 + size]
        if name.startswith("data.tar"):
            return lzma.decompress(content) if name.endswith(".xz") else content
        at += 60 + size + size % 2
    raise RuntimeError("the package holds no files")
