import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from timonier.cluster import cgroups, supervisor
from timonier.cluster.components import Component
from timonier.cluster.steps.images import listening
from timonier.cluster.supervisor import FIRST_DELAY, Restart, Supervisor


@pytest.fixture
def pids(tmp_path, monkeypatch):
    group = tmp_path / "group"
    group.mkdir()
    monkeypatch.setattr(cgroups, "make", lambda _: group)
    return tmp_path


def component(tmp_path, name="a", *, command="while true; do sleep 60 & wait $!; done"):
    return Component(name, ("sh", "-c", command), "/none", tmp_path / f"{name}.log")


@pytest.fixture
def supervise(pids):
    made = Supervisor("test", pids)
    yield made
    made.stop_all()


def wait_for_end(supervise, name):
    reading, writing = os.pipe()
    try:
        supervise.restarts[name].due = float("inf")
        while name in supervise.children:
            supervise.wait(reading, time.monotonic())
    finally:
        os.close(reading)
        os.close(writing)


def test_what_is_wanted_runs_and_what_is_not_wanted_ends(supervise, pids):
    supervise.reconcile([component(pids, "a"), component(pids, "b")], 0.0)
    assert set(supervise.children) == {"a", "b"}
    pid = supervise.children["b"].pid
    supervise.reconcile([component(pids, "a")], 0.0)
    assert set(supervise.children) == {"a"}
    assert supervisor.started_at(pid) == 0


def test_a_component_whose_command_changed_is_replaced(supervise, pids):
    supervise.reconcile([component(pids)], 0.0)
    first = supervise.children["a"].pid
    supervise.reconcile([component(pids, command="sleep 600")], 0.0)
    assert supervise.children["a"].pid != first


def test_a_component_that_dies_starts_again_after_a_growing_delay(supervise, pids):
    dying = component(pids, command="exit 3")
    supervise.reconcile([dying], 0.0)
    wait_for_end(supervise, "a")
    restart = supervise.restarts["a"]
    assert restart.delay == FIRST_DELAY * 2
    supervise.reconcile([dying], restart.due - 0.01)
    assert not supervise.children
    supervise.reconcile([dying], restart.due + 0.01)
    assert set(supervise.children) == {"a"}


def test_a_later_supervisor_adopts_the_children_of_one_that_was_killed(supervise, pids):
    supervise.reconcile([component(pids)], 0.0)
    later = Supervisor("test", pids)
    later.reconcile([component(pids)], 0.0)
    assert later.children["a"].pid == supervise.children["a"].pid
    os.close(later.children["a"].pidfd)


def test_a_pid_that_now_belongs_to_another_process_is_not_adopted(supervise, pids):
    supervise.reconcile([component(pids)], 0.0)
    file = supervise.pid_file("a")
    file.write_text(file.read_text().replace('"started": ', '"started": 1'))
    later = Supervisor("test", pids)
    assert not later.adopt(component(pids))


def test_a_process_that_has_ended_does_not_run_though_nobody_buried_it():
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert supervisor.started_at(process.pid) == 0
    process.wait()


def test_a_socket_that_a_killed_containerd_left_is_not_taken_for_a_running_one(tmp_path):
    path = tmp_path / "containerd.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        assert not listening(path)
        listener.bind(str(path))
        listener.listen()
        assert listening(path)
    assert path.exists()
    assert not listening(path)


def test_a_component_that_ignores_sigterm_is_killed(supervise, pids, monkeypatch):
    monkeypatch.setattr(supervisor, "STOP_LIMIT", 0.2)
    deaf = Component("a", (sys.executable, "-c", "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
                                                 "print('deaf', flush=True); time.sleep(600)"), "/none", pids / "a.log")
    supervise.reconcile([deaf], 0.0)
    pid = supervise.children["a"].pid
    while "deaf" not in (pids / "a.log").read_text():
        pass
    supervise.stop(["a"])
    assert supervisor.started_at(pid) == 0


def test_a_log_that_grew_too_large_is_moved_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "LOG_SIZE", 10)
    log = tmp_path / "a.log"
    log.write_text("more than ten bytes")
    supervisor.rotate(log)
    assert log.read_text() == ""
    assert (tmp_path / "a.log.1").read_text() == "more than ten bytes"


def test_a_restart_starts_with_the_shortest_delay():
    assert Restart().delay == FIRST_DELAY


def test_a_signal_wakes_the_loop():
    before = signal.getsignal(signal.SIGUSR1)
    try:
        reading, asked = supervisor.signals(signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert os.read(reading, 1)
        assert asked == {signal.SIGUSR1}
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGUSR1, before)
