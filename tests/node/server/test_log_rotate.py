"""Rotation of containers' logs: small enough, few enough, nothing lost, whatever was left undone."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from timonier.kit.clock import FakeClock
from timonier.node.cri.contract import ContainerState, RuntimeFailure
from timonier.node.kubelet.logs.rotate import CHECK_SECONDS, Housekeeping, LogRotator, housekeeping


class OneContainer:
    """A runtime with one container; told to reopen its log, it begins a new file, unless it `fails`."""

    def __init__(self, path: Path) -> None:
        self.path, self.state, self.fails, self.asked = path, ContainerState.RUNNING, False, 0

    async def containers(self) -> Sequence[Any]:
        return [SimpleNamespace(id="c1", state=self.state)]

    async def container_status(self, container_id: str) -> Any:
        self.asked += 1
        return SimpleNamespace(log_path=str(self.path))

    async def reopen_log(self, container_id: str) -> None:
        if self.fails:
            raise RuntimeFailure("UNKNOWN", "no")
        self.path.touch()


@pytest.fixture
def runtime(tmp_path) -> OneContainer:
    return OneContainer(tmp_path / "0.log")


def rotator(runtime: Any, clock: FakeClock | None = None, files: int = 3) -> LogRotator:
    return LogRotator(runtime, max_size=100, max_files=files, clock=clock or FakeClock())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_log_that_is_too_large_is_moved_away_and_begun_anew(runtime, tmp_path):
    runtime.path.write_bytes(b"x" * 100)
    await rotator(runtime).step()
    assert names(tmp_path) == ["0.log", "0.log.20231114-221320"]
    assert runtime.path.read_bytes() == b""
    assert (tmp_path / "0.log.20231114-221320").read_bytes() == b"x" * 100


async def test_a_log_that_is_small_or_ended_is_left_alone(runtime, tmp_path):
    runtime.path.write_bytes(b"x" * 99)
    await rotator(runtime).step()
    runtime.path.write_bytes(b"x" * 100)
    runtime.state = ContainerState.EXITED
    await rotator(runtime).step()
    assert names(tmp_path) == ["0.log"]


async def test_so_many_files_are_kept_and_all_but_the_latest_compressed(runtime, tmp_path):
    clock = FakeClock()
    rotating = rotator(runtime, clock)
    for round_ in range(5):
        runtime.path.write_bytes(bytes(str(round_), "ascii") * 100)
        await rotating.step()
        await clock.advance(1)
    assert names(tmp_path) == ["0.log", "0.log.20231114-221323.gz", "0.log.20231114-221324"]
    assert gzip.decompress((tmp_path / "0.log.20231114-221323.gz").read_bytes()) == b"3" * 100
    assert runtime.asked == 1


async def test_a_log_is_put_back_where_the_runtime_does_not_reopen_it(runtime, tmp_path):
    runtime.path.write_bytes(b"x" * 100)
    runtime.fails = True
    await rotator(runtime).step()
    assert names(tmp_path) == ["0.log"]
    assert runtime.path.read_bytes() == b"x" * 100


async def test_the_rotator_looks_again_every_few_seconds_and_survives_a_runtime_that_is_gone(runtime, monkeypatch):
    clock, rounds = FakeClock(), []
    rotating = rotator(runtime, clock)

    async def step() -> None:
        rounds.append(clock.now())
        raise RuntimeFailure("UNAVAILABLE", "nobody there")

    monkeypatch.setattr(rotating, "step", step)
    task = asyncio.create_task(rotating.run())
    begun = clock.now()
    await clock.advance(CHECK_SECONDS * 2)
    assert rounds == [begun + CHECK_SECONDS, begun + CHECK_SECONDS * 2]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(("present", "keep", "expected"), [
    pytest.param([], 3, Housekeeping((), ()), id="nothing-yet"),
    pytest.param(["a.1", "a.2.gz"], 3, Housekeeping((), ("a.1",)), id="compress-what-is-not"),
    pytest.param(["a.1.gz", "a.2.gz", "a.3"], 1, Housekeeping(("a.1.gz", "a.2.gz"), ("a.3",)), id="oldest-go"),
    pytest.param(["a.1.tmp", "a.1"], 3, Housekeeping(("a.1.tmp",), ("a.1",)), id="crashed-while-compressing"),
    pytest.param(["a.1.gz", "a.1"], 3, Housekeeping(("a.1",), ()), id="crashed-after-compressing"),
    pytest.param(["a.1", "a.2"], 0, Housekeeping(("a.1", "a.2"), ()), id="keep-none"),
])
def test_housekeeping(present, keep, expected):
    assert housekeeping(present, keep) == expected
