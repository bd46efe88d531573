"""From the command to node Ready, API answering and DNS answering; beside a bare Python and a bare containerd."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from clusters import NAME, environment, start, timonier
from table import Row, main

ROUNDS = 5
STEP = re.compile(r"✓ (.+?)\s+([\d.]+) s")


def measure() -> list[Row]:
    cold, warm = [], []
    steps: dict[str, list[float]] = {}
    with environment() as env:
        for _ in range(ROUNDS):
            begin = time.monotonic()
            printed = start(env)
            cold.append(time.monotonic() - begin)
            for title, seconds in STEP.findall(printed):
                steps.setdefault(title, []).append(float(seconds))
            timonier("stop", "--name", NAME, env=env)
            begin = time.monotonic()
            start(env)
            warm.append(time.monotonic() - begin)
            timonier("delete", "--name", NAME, env=env)
    python, containerd = statistics.median(bare_python()), statistics.median(bare_containerd())
    floor = python + containerd
    beside = "python -c pass + bare containerd"
    rows = [Row("new cluster to Ready and DNS", statistics.median(cold), floor, "s", beside),
            Row("stopped cluster to Ready and DNS", statistics.median(warm), floor, "s", beside)]
    rows += [Row(f"  {title}", statistics.median(seconds), None, "s", note="median of the step")
             for title, seconds in steps.items()]
    return [*rows, Row("python -c pass", python, None, "s", note="floor"),
            Row("bare containerd until it answers", containerd, None, "s", note="floor")]


def bare_python() -> list[float]:
    return [timed([sys.executable, "-c", "pass"]) for _ in range(ROUNDS)]


def timed(command: list[str]) -> float:
    begin = time.monotonic()
    subprocess.run(command, check=True, timeout=30)
    return time.monotonic() - begin


def bare_containerd() -> list[float]:
    """Seconds from starting a containerd with empty folders until its socket takes a request."""
    taken = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="timonier-bench-") as folder:
            config = Path(folder) / "config.toml"
            config.write_text(f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
                              f'[grpc]\n  address = "{folder}/sock"\n')
            begin = time.monotonic()
            process = subprocess.Popen(["containerd", "--config", str(config)], stderr=subprocess.DEVNULL)
            try:
                while not (Path(folder) / "sock").exists():
                    time.sleep(0.005)
                subprocess.run(["ctr", "--address", f"{folder}/sock", "version"], check=True, timeout=30,
                               stdout=subprocess.DEVNULL)
                taken.append(time.monotonic() - begin)
            finally:
                process.terminate()
                process.wait(10)
    return taken


if __name__ == "__main__":
    main(measure, "cold start")
