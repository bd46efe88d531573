"""`python -m fuzz`: as many requests as wanted, in a network namespace that leads nowhere."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from support.control_plane import ControlPlane, control_plane

from fuzz import schemathesis
from fuzz.attack import GRACE_MS, SLOWER, Attacker, attack, complaints

INSIDE = "TIMONIER_FUZZ_INSIDE"


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--schemathesis", type=int, default=0, metavar="SECONDS",
                        help="attack each document for so long with schemathesis instead")
    arguments = parser.parse_args()
    if not os.environ.get(INSIDE):
        if arguments.schemathesis:
            schemathesis.install()
        command = [sys.executable, "-m", "fuzz", *sys.argv[1:]]
        return subprocess.run(["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command],
                              env=os.environ | {INSIDE: "1"}, check=False).returncode
    with tempfile.TemporaryDirectory(prefix="timonier-fuzz-") as folder, \
            control_plane(Path(folder), manager=False) as plane:
        return foreign(plane, arguments) if arguments.schemathesis else judge(plane, arguments)


def foreign(plane: ControlPlane, arguments: argparse.Namespace) -> int:
    bad = total = 0
    for path in Attacker(plane).get("/openapi/v3")["paths"]:
        requests, wrong = schemathesis.run(plane, path, arguments.schemathesis, arguments.seed)
        print(f"{requests:>8} requests  {path}  {wrong}", flush=True)
        total += requests
        bad += bool(wrong)
    found = complaints(plane)
    print(f"{total} requests, {bad} documents with bad answers, {len(found)} unexpected errors logged")
    return 1 if bad or found else 0


def judge(plane: ControlPlane, arguments: argparse.Namespace) -> int:
    bad, first = 0, None
    for report in attack(plane, arguments.requests, arguments.batch, arguments.seed):
        first = first or report
        print(report, flush=True)
        for each in report.worst[:20]:
            print(f"  {each}")
        bad += len(report.worst)
        if report.get_ms > first.get_ms * SLOWER + GRACE_MS:
            print("  a GET takes much longer than after the first batch")
            bad += 1
    found = complaints(plane)
    for each in found[:20]:
        print(f"  logged: {each}")
    print(f"{bad} bad answers, {len(found)} unexpected errors logged")
    return 1 if bad or found else 0


if __name__ == "__main__":
    raise SystemExit(main())
