"""The programs of the suite, built from Kubernetes's Go modules once and kept in the checkout's cache."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from support.layers import CACHE
from support.toolchains import go

VERSION = "1.37.2"
KUBERNETES = "k8s.io/kubernetes"
TOOLCHAIN = "go1.27.3"
"""The Go that this version is built with; an older one fetches it."""
BUILD_SECONDS = 3600
FOLDER = CACHE / "conformance" / VERSION
PROGRAMS = {
    "e2e.test": ("test", "-c", f"{KUBERNETES}/test/e2e"),
    "agnhost": ("build", f"{KUBERNETES}/test/images/agnhost"),
    "sample-apiserver": ("build", "k8s.io/sample-apiserver"),
    "ginkgo": ("build", "github.com/onsi/ginkgo/v2/ginkgo"),
}
"""By name: Go's command, and the package that the program is."""


def program(name: str) -> Path:
    """One of PROGRAMS, built where it is not there yet."""
    found = FOLDER / name
    if not found.exists():
        print(f"Building {name} of Kubernetes {VERSION} into {FOLDER}", flush=True)
        command, *package = PROGRAMS[name]
        draft = found.with_suffix(f".{os.getpid()}")
        run_go(command, "-ldflags", "-s -w", "-o", str(draft), *package, cwd=module())
        draft.replace(found)
    return found


def module() -> Path:
    """A module that requires Kubernetes, with its own parts in the same version."""
    folder = FOLDER / "module"
    if not (folder / "go.sum").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "go.mod").write_text("module conformance\n")
        fetched = json.loads(run_go("mod", "download", "-json", f"{KUBERNETES}@v{VERSION}", cwd=folder))
        parts = re.findall(r"^\s+(k8s\.io/\S+) v0\.0\.0$", Path(fetched["GoMod"]).read_text(), re.MULTILINE)
        lines = [f"replace {part} => {part} v{VERSION.replace('1.', '0.', 1)}" for part in sorted(set(parts))]
        (folder / "go.mod").write_text("\n".join(["module conformance", f"go {TOOLCHAIN[2:]}",
                                                  f"require {KUBERNETES} v{VERSION}", *lines, ""]))
        (folder / "main.go").write_text(f'package main\n\nimport _ "{KUBERNETES}/test/e2e"\n\nfunc main() {{}}\n')
        run_go("mod", "tidy", cwd=folder)
    return folder


def run_go(*arguments: str, cwd: Path) -> str:
    env = os.environ | {"GOFLAGS": "-mod=mod -buildvcs=false", "GOTOOLCHAIN": TOOLCHAIN, "CGO_ENABLED": "0",
                        "GOPATH": str(CACHE / "go" / "path"), "GOCACHE": str(CACHE / "go" / "build")}
    return subprocess.run([str(go()), *arguments], cwd=cwd, env=env, check=True, timeout=BUILD_SECONDS, text=True,
                          stdout=subprocess.PIPE).stdout
