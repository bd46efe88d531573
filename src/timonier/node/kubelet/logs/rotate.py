"""Keeps containers' logs small: a log past its size is moved away, the runtime begins a new one, old ones go.

Beside `0.log` stand `0.log.20260102-030405`, the latest that was rotated, and older ones compressed as `….gz`. Any
step may be the last before a crash: the next round finds out from the names alone what was left undone.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from timonier.api import quantity
from timonier.kit.clock import Clock, Seconds, SystemClock
from timonier.node.cri.contract import ContainerState, NotInRuntime, Runtime, RuntimeFailure
from timonier.node.settings import NodeSettings

log = logging.getLogger(__name__)

CHECK_SECONDS: Seconds = 10.0
COMPRESSED, UNFINISHED = ".gz", ".tmp"
CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """What to do with the rotated files of one log before it is rotated again."""

    remove: tuple[str, ...]
    compress: tuple[str, ...]


def housekeeping(names: list[str], keep: int) -> Housekeeping:
    """Which of a log's rotated files (all names `<log>.…`) go, so that `keep` stay, and which are yet to be compressed.

    A `.tmp` was left by a crash in the middle of compressing; a file beside its own `.gz` by one right after it.
    """
    present = set(names)
    leftovers = {name for name in names if name.endswith(UNFINISHED) or name + COMPRESSED in present}
    in_use = sorted(present - leftovers)
    surplus = in_use[:max(0, len(in_use) - keep)]
    compress = [name for name in in_use[len(surplus):] if not name.endswith(COMPRESSED)]
    return Housekeeping(tuple(sorted(leftovers | set(surplus))), tuple(compress))


async def rotate_logs(settings: NodeSettings, runtime: Runtime, clock: Clock) -> None:
    """Keep the logs of a node's containers as small as its settings say, until cancelled."""
    rotator = LogRotator(runtime, quantity.whole(settings.container_log_max_size), settings.container_log_max_files,
                         clock)
    await rotator.run()


@dataclass
class LogRotator:
    """Rotates the logs of running containers."""

    runtime: Runtime
    max_size: int
    """Bytes at which a log is rotated; negative for never."""
    max_files: int
    """Files kept of one log, the one being written included; at least 2."""
    clock: Clock = field(default_factory=SystemClock)
    _paths: dict[str, Path] = field(default_factory=dict)

    async def run(self) -> None:
        """Look every few seconds, for ever."""
        while self.max_size >= 0:
            await self.clock.sleep(CHECK_SECONDS)
            try:
                await self.step()
            except RuntimeFailure as error:
                log.warning("logs not looked at", extra={"error": str(error)})

    async def step(self) -> None:
        """Rotate every log that is too large now; what fails for one does not keep others from it."""
        running = [each.id for each in await self.runtime.containers() if each.state is ContainerState.RUNNING]
        self._paths = {key: path for key, path in self._paths.items() if key in running}
        for container_id in running:
            try:
                path = await self._path(container_id)
                if path is not None and size_of(path) >= self.max_size:
                    await self._rotate(container_id, path)
            except NotInRuntime:
                continue
            except (OSError, RuntimeFailure) as error:
                log.warning("log not rotated", extra={"container": container_id, "error": str(error)})

    async def _path(self, container_id: str) -> Path | None:
        """The container's log, asked for once: it never changes."""
        if container_id not in self._paths:
            status = await self.runtime.container_status(container_id)
            if not status.log_path:
                return None
            self._paths[container_id] = Path(status.log_path)
        return self._paths[container_id]

    async def _rotate(self, container_id: str, path: Path) -> None:
        await asyncio.to_thread(tidy, path, self.max_files - 2)
        moved = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S', time.gmtime(self.clock.now()))}")
        await move_and_reopen(path, moved, lambda: self.runtime.reopen_log(container_id))
        log.info("log rotated", extra={"container": container_id, "path": str(path)})


async def move_and_reopen(path: Path, moved: Path, reopen: Callable[[], Awaitable[None]]) -> None:
    """Move a log away and have a new one begun; where that fails, put it back, so that nothing is lost."""
    if not await asyncio.to_thread(move, path, moved):
        return  # rotated within this very second: the next round will do
    try:
        await reopen()
    except BaseException:
        move(moved, path)
        raise


def move(source: Path, target: Path) -> bool:
    """Rename, unless the target is there already; whether it was done."""
    if target.exists():
        return False
    source.rename(target)
    return True


def tidy(path: Path, keep: int) -> None:
    """Remove what is too old, and compress what was rotated earlier."""
    folder = path.parent
    names = [each.name for each in folder.iterdir() if each.name.startswith(path.name + ".")]
    todo = housekeeping(names, keep)
    for name in todo.remove:
        (folder / name).unlink(missing_ok=True)
    for name in todo.compress:
        compress(folder / name)


def compress(path: Path) -> None:
    """Replace a file by its `.gz`, which is complete from the moment it has that name."""
    unfinished = path.with_name(path.name + UNFINISHED)
    with path.open("rb") as source, gzip.open(unfinished, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target, CHUNK)
    unfinished.rename(path.with_name(path.name + COMPRESSED))
    path.unlink()


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
