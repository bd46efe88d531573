"""`python -m conformance`: some tests of the suite, or all, on a cluster of this run."""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

from support.cluster import RealCluster
from support.kubectl import kubectl

from conformance import images
from conformance.programs import program

CONFORMANCE = r"\[Conformance\]"
ENDED = re.compile(r"^(Ran \d+ of .*|(?:SUCCESS|FAIL)! -- .*|  \[(?:FAIL|PANICKED|TIMEDOUT)\].*)$", re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("--focus", default="", help="a regular expression: only conformance tests that match it")
    parser.add_argument("--skip", default="", help="a regular expression: no tests that match it")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--procs", type=int, default=4, help="tests that run at a time")
    parser.add_argument("--log", type=Path, default=Path("conformance.log"), help="where all that the suite says goes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="timonier-conformance-") as folder:
        archive = images.write(Path(folder) / "images.tar")
        cluster = RealCluster("conformance", Path(folder))
        try:
            cluster.start("--nodes", str(arguments.nodes))
            cluster.timonier("image", "load", "--name", cluster.name, str(archive), timeout=600)
            return run(cluster, arguments)
        finally:
            cluster.timonier("delete", "--name", cluster.name)


def run(cluster: RealCluster, arguments: argparse.Namespace) -> int:
    focus = f"{arguments.focus}.*{CONFORMANCE}" if arguments.focus else CONFORMANCE
    command = [str(program("ginkgo")), f"--procs={arguments.procs}", "--no-color", "--timeout=24h", f"--focus={focus}",
               *([f"--skip={arguments.skip}"] if arguments.skip else []), str(program("e2e.test")), "--",
               f"--kubeconfig={cluster.kubeconfig}", "--provider=skeleton", "--disable-log-dump", "--minStartupPods=0",
               f"--kubectl-path={kubectl()}"]
    with arguments.log.open("w") as log:
        code = subprocess.run(command, env=cluster.env, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    print("\n".join(ENDED.findall(arguments.log.read_text())))
    return code


if __name__ == "__main__":
    raise SystemExit(main())
