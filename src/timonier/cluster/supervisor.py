"""Keeps a cluster's processes running: starts what is missing, ends what should not be, restarts what died.

A loop like any other here: what should run is `components(spec)`, what runs is written in one pid file each. A
supervisor that is killed leaves its children running, and the next one adopts them: it can be replaced at any instant.
One process, no threads, no event loop: it waits in poll(2) on a pidfd a child.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import select
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from timonier.cluster import cgroups
from timonier.cluster.components import Component, components
from timonier.cluster.spec import ClusterError, ClusterSpec, load

log = logging.getLogger(__name__)

FIRST_DELAY, LONGEST_DELAY = 0.1, 30.0
"""Seconds before a component that died is started again: doubled each time, up to the longest."""
HEALTHY_AFTER = 30.0
"""Seconds of running after which a component's earlier deaths are forgotten."""
STOP_LIMIT = 10.0
"""Seconds that a component has between SIGTERM and SIGKILL."""
LOG_SIZE = 20 * 1024 * 1024
"""Bytes after which a component's log is moved to `.1`."""
CHORES_EVERY = 30.0


@dataclass(slots=True)
class Child:
    """A running process. `pidfd` becomes readable when it ends."""

    component: Component
    pid: int
    pidfd: int
    since: float


@dataclass(slots=True)
class Restart:
    """When a component that died is due again, and what to wait after the next death."""

    delay: float = FIRST_DELAY
    due: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """The children of one cluster."""

    name: str
    pids: Path
    children: dict[str, Child] = field(default_factory=dict)
    restarts: dict[str, Restart] = field(default_factory=dict)

    def reconcile(self, wanted: list[Component], now: float) -> None:
        """End what is not wanted or changed its command; adopt or start what is wanted, unless it is not yet due."""
        by_name = {component.name: component for component in wanted}
        for name, child in list(self.children.items()):
            if name not in by_name or by_name[name].command != child.component.command:
                self.stop([name])
        for component in wanted:
            if component.name in self.children or self.restarts.setdefault(component.name, Restart()).due > now:
                continue
            if not self.adopt(component):
                self.start(component, now)

    def adopt(self, component: Component) -> bool:
        """Take over a process that an earlier supervisor started, where it still runs the same command."""
        try:
            written = json.loads(self.pid_file(component.name).read_text())
            pidfd = os.pidfd_open(written["pid"])
        except (FileNotFoundError, ValueError, KeyError, ProcessLookupError):
            return False
        if started_at(written["pid"]) != written["started"] or tuple(written["command"]) != component.command:
            with contextlib.suppress(ProcessLookupError):
                if started_at(written["pid"]) == written["started"]:
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
            return False
        self.children[component.name] = Child(component, written["pid"], pidfd, time.monotonic())
        log.info("component adopted", extra={"component": component.name, "pid": written["pid"]})
        return True

    def start(self, component: Component, now: float) -> None:
        """Start a process in its control group, with its output appended to its log."""
        component.log.parent.mkdir(parents=True, exist_ok=True)
        group = cgroups.make(component.cgroup)
        with component.log.open("ab") as output:
            process = subprocess.Popen(
                ["sh", "-c", 'echo $$ > "$0"/cgroup.procs && exec "$@"', str(group), *component.command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                env=dict(os.environ) | dict(component.env))
        process.returncode = 0  # reaped by `bury`, not by Popen
        pidfd = os.pidfd_open(process.pid)
        self.children[component.name] = Child(component, process.pid, pidfd, now)
        record = {"pid": process.pid, "started": started_at(process.pid), "command": list(component.command)}
        draft = self.pid_file(component.name).with_suffix(".new")
        draft.write_text(json.dumps(record))
        draft.replace(self.pid_file(component.name))
        log.info("component started", extra={"component": component.name, "pid": process.pid})

    def bury(self, name: str, now: float) -> None:
        """Note that a child has ended, and when it is due again."""
        child = self.children.pop(name)
        os.close(child.pidfd)
        status = None
        with contextlib.suppress(ChildProcessError):
            status = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
        restart = self.restarts.setdefault(name, Restart())
        if now - child.since > HEALTHY_AFTER:
            restart.delay = FIRST_DELAY
        restart.due = now + restart.delay
        log.warning("component ended", extra={"component": name, "pid": child.pid, "exit": status,
                                              "again_in": restart.delay})
        restart.delay = min(restart.delay * 2, LONGEST_DELAY)

    def stop(self, names: list[str]) -> None:
        """Ask children to end, in the order given, each with its limit; then see to it."""
        for name in names:
            child = self.children.pop(name)
            self.restarts.pop(name, None)
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(child.pidfd, number)
                if select.select([child.pidfd], [], [], STOP_LIMIT)[0]:
                    break
            os.close(child.pidfd)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child.pid, 0)
            self.pid_file(name).unlink(missing_ok=True)
            log.info("component stopped", extra={"component": name, "pid": child.pid})

    def stop_all(self) -> None:
        self.stop(list(reversed(self.children)))

    def wait(self, wake: int, now: float) -> bool:
        """Sleep until a child ends, a restart is due, a chore is due, or a signal came (True)."""
        due = [restart.due for name, restart in self.restarts.items() if name not in self.children]
        timeout = min([CHORES_EVERY, *(max(0.0, moment - now) for moment in due)])
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        names = {child.pidfd: name for name, child in self.children.items()}
        for pidfd in names:
            poll.register(pidfd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(timeout * 1000)}
        for fd in ready & names.keys():
            self.bury(names[fd], time.monotonic())
        return wake in ready

    def pid_file(self, name: str) -> Path:
        return self.pids / f"{name}.json"


def started_at(pid: int) -> int:
    """A process's start time in clock ticks since boot; with the pid, it names a process for ever. 0 if it has ended,
    though its parent may not have noticed yet: who inherits the dead may be slow to bury them, or never do it."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if state in "ZX" else int(fields[18])


def rotate(file: Path) -> None:
    """Move a log that has grown too large aside; its writer appends, so truncating leaves no hole."""
    with contextlib.suppress(FileNotFoundError):
        if file.stat().st_size > LOG_SIZE:
            shutil.copyfile(file, file.with_name(file.name + ".1"))
            os.truncate(file, 0)


def run(name: str) -> None:
    """Supervise a cluster until SIGTERM, which stops it; SIGHUP reads its spec again. Raises ClusterError."""
    spec = read(name)
    pids = spec.run / "pids"
    pids.mkdir(parents=True, exist_ok=True)
    lock = os.open(pids, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("another supervisor looks after this cluster already", extra={"cluster": name})
        return
    cgroups.join(f"{spec.cgroup}/system")
    supervisor = Supervisor(name, pids)
    wake, asked = signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    (pids / "supervisor").write_text(f"{os.getpid()} {started_at(os.getpid())}")
    wanted = components(spec)
    chores = time.monotonic() + CHORES_EVERY
    while True:
        now = time.monotonic()
        supervisor.reconcile(wanted, now)
        if supervisor.wait(wake, now):
            os.read(wake, 4096)
        if {signal.SIGTERM, signal.SIGINT} & asked:
            supervisor.stop_all()
            (pids / "supervisor").unlink(missing_ok=True)
            return
        if signal.SIGHUP in asked:
            asked.clear()
            wanted = components(read(name))
            supervisor.restarts.clear()  # somebody wants it to run now
        if time.monotonic() > chores:
            chores = time.monotonic() + CHORES_EVERY
            for component in wanted:
                rotate(component.log)


def read(name: str) -> ClusterSpec:
    spec = load(name)
    if spec is None:
        raise ClusterError(f"there is no cluster {name!r}")
    return spec


def signals(*numbers: int) -> tuple[int, set[int]]:
    """A descriptor that becomes readable when one of the signals came, and the set in which they gather."""
    asked: set[int] = set()
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda received, _: asked.add(received))
    return reading, asked


def running(spec: ClusterSpec) -> int | None:
    """The pid of the cluster's supervisor, or None where none runs."""
    try:
        pid, started = map(int, (spec.run / "pids" / "supervisor").read_text().split())
    except (FileNotFoundError, ValueError):
        return None
    return pid if started_at(pid) == started else None


def component_pids(spec: ClusterSpec) -> dict[str, int]:
    """The pids of the components that run now, by name."""
    found = {}
    for file in sorted((spec.run / "pids").glob("*.json")):
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
            written = json.loads(file.read_text())
            if started_at(written["pid"]) == written["started"]:
                found[file.stem] = int(written["pid"])
    return found
