"""What a client counts about its requests, under Kubernetes's metric names (rest_client_*), as plain numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

TOTAL, SECONDS = "rest_client_requests_total", "rest_client_request_duration_seconds"
NO_ANSWER = "<error>"
"""The code of a request that was not answered."""


@dataclass(slots=True)
class Requests:
    """Of one client, for one server (`host`, with its port)."""

    host: str
    answers: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """By method and code. A watch counts once, when it begins."""
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By method, from the request to the whole answer; watches are not in it."""
    counted: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, method: str, code: str, seconds: float | None = None) -> None:
        self.answers[method, code] += 1
        if seconds is not None:
            self.seconds[method] += seconds
            self.counted[method] += 1


def render(clients: Iterable[Requests]) -> Iterator[str]:
    """What the clients of a process counted, as lines of the Prometheus text format."""
    every = list(clients)
    yield f"# HELP {TOTAL} Requests to the API server."
    yield f"# TYPE {TOTAL} counter"
    answers: Counter[tuple[str, str, str]] = Counter()
    taken: dict[tuple[str, str], tuple[float, int]] = {}
    for each in every:
        for (method, code), count in each.answers.items():
            answers[code, method, each.host] += count
        for method, seconds in each.seconds.items():
            before = taken.get((method, each.host), (0.0, 0))
            taken[method, each.host] = before[0] + seconds, before[1] + each.counted[method]
    for (code, method, host), count in answers.items():
        yield f'{TOTAL}{{code="{code}",method="{method}",host="{host}"}} {count}'
    yield f"# HELP {SECONDS} Time until answers of the API server were complete, in seconds."
    yield f"# TYPE {SECONDS} summary"
    for (method, host), (seconds, count) in taken.items():
        yield f'{SECONDS}_sum{{verb="{method}",host="{host}"}} {seconds}'
        yield f'{SECONDS}_count{{verb="{method}",host="{host}"}} {count}'
