"""What an idle cluster of one node costs: resident memory of all its processes, and CPU over a minute.

Ours are the Python processes; containerd and its shims, which any Kubernetes on containerd has too, stand beside them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from clusters import NAME, environment, start
from table import Row, main

from timonier.cluster import cgroups
from timonier.cluster.spec import load

SETTLE, WATCHED = 20.0, 60.0
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024
ROLE = " -m timonier "
"""What stands in the command line of every process of ours, and of no other."""


def measure() -> list[Row]:
    with environment() as env:
        start(env)
        spec = load(NAME)
        assert spec is not None
        time.sleep(SETTLE)
        before = {pid: cpu(pid) for pid in cgroups.members(spec.cgroup)}
        begin = time.monotonic()
        time.sleep(WATCHED)
        seconds = time.monotonic() - begin
        after = {pid: cpu(pid) for pid in before}
        memory = {pid: (name(pid), resident(pid), proportional(pid)) for pid in after}
    ours = [pid for pid, (program, _, _) in memory.items() if ROLE in program]
    others = [pid for pid in memory if pid not in ours]
    rows = [Row("resident memory, all our processes", sum(memory[pid][1] for pid in ours) / MIB,
                sum(memory[pid][1] for pid in others) / MIB, "MiB", "containerd"),
            Row("proportional memory (shared pages once)", sum(memory[pid][2] for pid in ours) / MIB,
                sum(memory[pid][2] for pid in others) / MIB, "MiB", "containerd"),
            Row("CPU, all our processes", 100 * sum(after[p] - before[p] for p in ours) / seconds,
                100 * sum(after[p] - before[p] for p in others) / seconds, "% of a core", "containerd")]
    rows += [Row(f"  {memory[pid][0].partition(ROLE)[2].split()[0]}", memory[pid][1] / MIB, None, "MiB",
                 note=f"{100 * (after[pid] - before[pid]) / seconds:.2f} % of a core") for pid in sorted(ours)]
    return rows


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def name(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def proportional(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main(measure, "idle")
