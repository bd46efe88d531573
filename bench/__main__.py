"""Every bench, one after the other, each in a process of its own: `python bench`. Fails where one fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NOT_BENCHES = {"__main__.py", "table.py", "clusters.py", "api_load.py"}


def main() -> int:
    failed = []
    for file in sorted(HERE.glob("*.py")):
        if file.name not in NOT_BENCHES and subprocess.run([sys.executable, str(file)], check=False).returncode:
            failed.append(file.name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
