"""schemathesis, unmodified, against the server's own OpenAPI. It lives in an environment of its own in the cache."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from support.control_plane import ControlPlane
from support.layers import CACHE

REQUIREMENT = "schemathesis==4.32.5"
FOLDER = CACHE / "schemathesis"
PROGRAM = FOLDER / "bin" / "schemathesis"
STREAMS = "/(exec|attach|portforward|proxy|log)(/|$)"


def install() -> None:
    """Needs the network; once."""
    if not PROGRAM.exists():
        print(f"Installing {REQUIREMENT}, for the tests, into {FOLDER}", flush=True)
        uv = Path(sys.executable).parent / "uv"
        subprocess.run([uv, "venv", "--quiet", FOLDER], check=True, timeout=120)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", FOLDER / "bin" / "python", REQUIREMENT],
                       check=True, timeout=300)


def run(plane: ControlPlane, document: str, seconds: int, seed: int) -> tuple[int, str]:
    """Attack one document (`apis/apps/v1`) for some seconds: the requests made, and, where any was answered 5xx, what
    there is to say about it."""
    pair = plane.folder / "admin.crt", plane.folder / "admin.key"
    command = [PROGRAM, "run", f"{plane.url}/openapi/v3/{document}", "--origin", plane.url, "--tls-verify",
               plane.authority.pair.certificate, "--request-cert", pair[0], "--request-cert-key", pair[1],
               "--checks", "not_a_server_error", "--phases", "fuzzing", "--max-time", str(seconds), "--seed", str(seed),
               "--no-shrink", "--warnings", "off", "--exclude-path-regex", STREAMS, "--request-timeout", "30"]
    hooks = {"SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("schemathesis_hooks.py"))}
    done = subprocess.run([*map(str, command)], env=os.environ | hooks, capture_output=True, text=True,
                          timeout=seconds * 4 + 120, check=False)
    made = re.search(r"(\d+) generated", done.stdout)
    fine = made is not None and done.returncode == 0
    return int(made[1]) if made else 0, "" if fine else done.stdout[-6000:] + done.stderr[-2000:]
