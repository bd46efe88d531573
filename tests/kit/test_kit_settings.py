"""Settings: flags and help from a frozen dataclass, and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.kit import settings


@dataclass(frozen=True, slots=True)
class Example:
    """An example role."""

    name: str
    """What it is called; 100% required."""
    bind_address: str = "127.0.0.1"
    """Where it listens."""
    port: int = 6443
    verbose: bool = False
    checked: bool = True
    ratio: float = 0.5
    state: Path = Path("/var/lib/x")
    ca: Path | None = None
    peers: tuple[str, ...] = ()
    """Others; repeatable."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise ValueError(f"port {self.port} is no port")


def parse(*arguments: str) -> Example:
    return settings.parse(Example, arguments, program="example")


def test_what_is_not_said_is_the_default():
    assert parse("--name", "a") == Example("a")


def test_flags_have_the_types_of_their_fields():
    given_flags = parse("--name=a", "--port", "80", "--verbose", "--no-checked", "--ratio", "2", "--state", "/x",
                        "--ca", "/ca", "--peers", "p", "--peers", "q")
    assert given_flags == Example("a", port=80, verbose=True, checked=False, ratio=2.0, state=Path("/x"),
                                  ca=Path("/ca"), peers=("p", "q"))


@given(st.builds(Example, name=st.text(min_size=1), bind_address=st.text(), port=st.integers(0, 65535),
                 verbose=st.booleans(), checked=st.booleans(), ratio=st.floats(allow_nan=False),
                 ca=st.sampled_from([None, Path("/ca")]), peers=st.lists(st.text(), max_size=3).map(tuple)))
def test_settings_survive_the_way_through_a_command_line(example):
    assert parse(*settings.to_arguments(example)) == example


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "the following arguments are required: --name"),
    (["--name", "a", "--port", "x"], "argument --port: invalid int value: 'x'"),
    (["--name", "a", "--port", "70000"], "port 70000 is no port"),
    (["--name", "a", "--nam", "b"], "unrecognized arguments: --nam"),
])
def test_what_is_wrong_is_said_and_ends_with_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_help_shows_the_docstrings(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    shown = capsys.readouterr().out
    assert "An example role." in shown
    assert "What it is called; 100% required." in shown
    assert "--no-checked" in shown
