"""Every bench, one after the other, each in a process of its own: `python bench [NAME…]`. Fails where one fails.

A bench that takes too long is interrupted, as by Ctrl-C, so that it removes what it made; then the next one runs.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
SHARED = {"__main__", "table", "clusters", "api_load"}
"""Modules that are no bench, but what benches share."""
LIMIT = 200.0
"""Seconds that one bench has; idle.py alone waits for 80."""
ALL = 570.0
"""Seconds that all have together."""
CLEANING = 30.0
"""Seconds that an interrupted bench has to remove what it made."""


def main(names: list[str]) -> int:
    benches = sorted(file.stem for file in HERE.glob("*.py") if file.stem not in SHARED)
    if unknown := set(names) - set(benches):
        print(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(benches)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    failed = [name for name in names or benches if not run(name, min(LIMIT, ALL - (time.monotonic() - began)))]
    print(f"\n{len(names or benches)} benches in {time.monotonic() - began:.0f} s", file=sys.stderr)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run(name: str, limit: float) -> bool:
    """Whether a bench ended well within `limit` seconds."""
    process = subprocess.Popen([sys.executable, str(HERE / f"{name}.py")])
    try:
        return process.wait(max(limit, 0.0)) == 0
    except subprocess.TimeoutExpired:
        print(f"{name} took longer than {limit:.0f} s", file=sys.stderr)
        process.send_signal(signal.SIGINT)
        return False
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(CLEANING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
