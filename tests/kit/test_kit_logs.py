"""Logs: one JSON object a line."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest

from timonier.kit import logs


@pytest.fixture
def written():
    """What is logged while the root logger is configured; it is put back after."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("info", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().split("\n") if line]
    root.handlers[:] = before
    root.setLevel(level)


def test_bound_keys_stand_beside_the_message(written):
    logging.getLogger("timonier.store").info("pod created", extra={"pod": "default/web", "count": 3})
    (entry,) = written()
    assert entry.pop("ts") > 1_700_000_000
    assert entry == {"level": "info", "logger": "store", "msg": "pod created", "pod": "default/web", "count": 3}


def test_what_json_cannot_hold_is_written_as_text(written):
    logging.getLogger("x").warning("odd", extra={"path": Path("/a"), "set": {1}})
    (entry,) = written()
    assert (entry["path"], entry["set"], entry["level"]) == ("/a", "{1}", "warning")


def test_a_line_is_a_line_whatever_is_in_it(written):
    logging.getLogger("x").info("two\nlines %s", "and\tmore", extra={"é": "\u2028"})
    (entry,) = written()
    assert entry["msg"] == "two\nlines and\tmore"


def test_an_exception_comes_with_its_traceback(written):
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (entry,) = written()
    assert "ValueError: why" in entry["exception"]
    assert entry["level"] == "error"


def test_below_the_level_nothing_is_written(written):
    logging.getLogger("x").debug("quiet")
    assert written() == []
