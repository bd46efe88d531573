"""Prometheus's text format, and what every process says about itself: CPU, memory, files, which Python runs it.

What a part counts are plain numbers, written out by `family`. For the process's own, prometheus-client is imported when
somebody asks, and costs 3 MB from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from timonier.kit.clock import Time

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The format's media type."""

Sample = tuple[Mapping[str, str], float, Time | None]
"""Labels, value, and the moment that it is of, where that is not now."""


def family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    """A metric's lines."""
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value, at in samples:
        yield sample(name, labels, value) + ("" if at is None else f" {int(at * 1000)}")


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{escaped(text)}"' for key, text in labels.items())
    return f"{name}{'{' + inside + '}' if inside else ''} {value:.10g}"


def escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def registry() -> CollectorRegistry:
    """A registry with the process's own metrics, to which others may be added."""
    from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

    made = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    return made


def of_process() -> bytes:
    from prometheus_client.exposition import generate_latest

    return generate_latest(registry())
