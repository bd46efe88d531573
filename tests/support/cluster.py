"""A real cluster for tests: started and driven by the commands that a user has, in namespaces of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from support import machine
from support.kubectl import NEWEST, kubectl
from support.ports import free_port

T = TypeVar("T")


@dataclass
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass
class RealCluster:
    """A cluster of this run, with a home and a kubeconfig that no other test sees."""

    purpose: str
    home: Path
    port: int = field(default_factory=free_port)
    env: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.env = os.environ | {"HOME": str(self.home), "KUBECONFIG": str(self.kubeconfig)}

    @property
    def name(self) -> str:
        return f"{machine.RUN}-{self.purpose}"

    @property
    def kubeconfig(self) -> Path:
        return self.home / "kubeconfig"

    def timonier(self, *arguments: str, timeout: float = 120, check: bool = True) -> Done:
        return run([sys.executable, "-m", "timonier", *arguments], env=self.env, timeout=timeout, check=check)

    def start(self, *arguments: str, check: bool = True) -> Done:
        return self.timonier("start", "--name", self.name, "--api-port", str(self.port), *arguments, check=check)

    def kubectl(self, *arguments: str, stdin: str = "", version: str = NEWEST, timeout: float = 60,
                check: bool = True) -> Done:
        return run([str(kubectl(version)), *arguments], env=self.env, stdin=stdin, timeout=timeout, check=check)

    def get(self, *arguments: str) -> Any:
        """`kubectl get … -o json`, decoded."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json").out)

    def apply(self, manifest: str, *arguments: str) -> Done:
        return self.kubectl("apply", "-f", "-", *arguments, stdin=manifest)

    def wait(self, *arguments: str, timeout: float = 60) -> Done:
        return self.kubectl("wait", *arguments, f"--timeout={timeout:.0f}s", timeout=timeout + 10)

    def delete(self, *arguments: str) -> Done:
        return self.kubectl("delete", "--ignore-not-found", *arguments)

    @contextmanager
    def running(self, *arguments: str, images: Path) -> Iterator[RealCluster]:
        """The cluster started, with images on every node; deleted in the end."""
        try:
            self.start(*arguments)
            self.timonier("image", "load", "--name", self.name, str(images))
            yield self
        finally:
            self.timonier("delete", "--name", self.name)

    @contextmanager
    def namespace(self, name: str) -> Iterator[str]:
        """A namespace for one test, gone with all that is in it."""
        self.kubectl("create", "namespace", name)
        try:
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--timeout=90s", timeout=100)


def run(command: list[str], *, env: dict[str, str], stdin: str = "", timeout: float, check: bool) -> Done:
    done = subprocess.run(command, env=env, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    result = Done(done.returncode, done.stdout, done.stderr)
    assert not check or result.code == 0, f"{' '.join(command)}\nexit {result.code}\n{result.text}"
    return result


def eventually(look: Callable[[], T], *, within: float = 30, every: float = 0.1) -> T:
    """What `look` returns once that is true. Fails with its last answer or failure."""
    deadline = time.monotonic() + within
    while True:
        last: Any = None
        try:
            last = look()
            if last:
                return last
        except AssertionError as error:
            last = error
        assert time.monotonic() < deadline, f"not within {within} s: {last}"
        time.sleep(every)
