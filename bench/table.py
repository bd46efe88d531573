"""What every bench shares: rows that stand beside a floor or a peer, a table for people, a file for `make bench`.

A bench is a module with `measure() -> list[Row]`; `python bench/store.py` measures and prints. Figures mean nothing
alone, because machines differ: a row without a floor or a peer measured in the same run says so in its note.
"""

from __future__ import annotations

import datetime
import json
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `ratio` is ours over the floor or peer. Of what is counted by time (`/s`) more is better, of all
    else (`ms`, `s`, `MiB`, `% of a core`) less."""

    name: str
    ours: float
    peer: float | None
    unit: str
    peer_name: str = ""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.ours / self.peer if self.peer else None


def in_turns(*measures: Callable[[], float], rounds: int = 3) -> list[float]:
    """The median of each measure, taken in turns, so that a machine that is busy for a while is so to all of them."""
    taken = [[measure() for measure in measures] for _ in range(rounds)]
    return [statistics.median(figures) for figures in zip(*taken, strict=True)]


def show(rows: Sequence[Row], title: str) -> None:
    """Print the rows as a table."""
    cells = [("", "ours", "floor or peer", "ratio", "unit", "beside")]
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else "-"
        cells.append((row.name, figure(row.ours), figure(row.peer), ratio, row.unit, row.peer_name or row.note))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    print(f"\n{title}")
    for line in cells:
        numbers = [text.rjust(width) for text, width in zip(line[1:4], widths[1:4], strict=True)]
        print("  ".join([line[0].ljust(widths[0]), *numbers, line[4].ljust(widths[4]), line[5]]).rstrip())


def figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def record(rows: Sequence[Row], title: str, folder: Path = RESULTS) -> Path:
    """Add the rows under their title to today's file, `results/<date>.json`; a second run replaces the first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.datetime.now(datetime.UTC).date()}.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results[title] = [asdict(row) | {"ratio": row.ratio} for row in rows]
    path.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    return path


def main(measure: Callable[[], list[Row]], title: str) -> None:
    """What a bench file does when it is run. The load says whether other programs had a part in the figures."""
    load = os.getloadavg()[0]
    rows = measure()
    show(rows, f"{title} ({os.cpu_count()} cores, load {load:.1f} before)")
    print(f"written to {record(rows, title)}", file=sys.stderr)
