"""The tables in Go's table-driven tests, read as values: an oracle written by those who know.

Only literals are understood: composites, texts, numbers, calls with literal arguments, names. What else stands in a
file is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOKEN = re.compile(r"""
    (?P<blank>\s+ | //[^\n]* | /\*.*?\*/)
  | (?P<text>`[^`]*` | "(?:\\.|[^"\\\n])*")
  | (?P<rune>'(?:\\.|[^'\\\n])+')
  | (?P<number>-?\d[\w.]*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<sign>:= | . )
""", re.VERBOSE | re.DOTALL)
OPEN, CLOSE = "([{", ")]}"


@dataclass(frozen=True)
class Name:
    """A variable, a constant, or what is selected from one: `parser.T`."""

    text: str


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple[Any, ...]


@dataclass
class Literal:
    """A composite literal. `type` is as written, and empty where Go knows it from its surroundings."""

    type: str
    entries: list[tuple[Any, Any]] = field(default_factory=list)
    """Key and value; the key is None for elements without one, a Name for fields of structs."""

    @property
    def fields(self) -> dict[str, Any]:
        return {key.text: value for key, value in self.entries if isinstance(key, Name)}

    @property
    def elements(self) -> list[Any]:
        return [value for _, value in self.entries]


class NoLiteral(Exception):
    """Code that is more than a literal."""


@dataclass(frozen=True)
class Token:
    kind: str
    text: str


class Source:
    """One Go file, as tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens

    @classmethod
    def of(cls, file: Path) -> Source:
        return cls([Token(str(found.lastgroup), found.group())
                    for found in TOKEN.finditer(file.read_text()) if found.lastgroup != "blank"])

    def bound(self, values: Mapping[str, str]) -> Source:
        """The same file with texts in the place of variables."""
        return Source([Token("text", f'"{values[token.text]}"') if token.kind == "name" and token.text in values
                       else token for token in self.tokens])

    def assigned(self, start: int = 0, end: int | None = None) -> Iterator[tuple[str, Any, int]]:
        """Every variable that is given a literal, with the place after it."""
        at, last = start, len(self.tokens) if end is None else end
        while at < last - 2:
            token, following = self.tokens[at], self.tokens[at + 1]
            if token.kind == "name" and following.text in ("=", ":="):
                try:
                    value, after = self.value(at + 2)
                except NoLiteral:
                    at += 1
                    continue
                yield token.text, value, after
                at = after
            else:
                at += 1

    def functions(self) -> Iterator[tuple[str, int, int]]:
        """The functions of the file: name, and where the body begins and ends."""
        for at, token in enumerate(self.tokens):
            if token.text == "func" and self.tokens[at + 1].kind == "name":
                body = at + 2
                while self.tokens[body].text != "{":
                    body = self.closing(body) + 1 if self.tokens[body].text in OPEN else body + 1
                yield self.tokens[at + 1].text, body, self.closing(body)

    def closing(self, at: int) -> int:
        """The place of the bracket that closes the one at a place."""
        depth = 0
        while True:
            text = self.tokens[at].text if self.tokens[at].kind == "sign" else ""
            depth += (text != "" and text in OPEN) - (text != "" and text in CLOSE)
            if depth == 0:
                return at
            at += 1

    def value(self, at: int) -> tuple[Any, int]:
        """The literal at a place, and the place after it. Raises NoLiteral."""
        token = self.tokens[at]
        match token.kind:
            case "text":
                return self.joined(unquoted(token.text), at + 1)
            case "number":
                return float(token.text) if "." in token.text else int(token.text, 0), at + 1
            case "name":
                return self.named(at)
        if token.text == "&":
            return self.value(at + 1)
        if token.text == "{":
            return self.composite("", at)
        if token.text == "[":
            return self.typed(at)
        raise NoLiteral(token.text)

    def joined(self, text: str, at: int) -> tuple[str, int]:
        while self.tokens[at].text == "+":
            more, at = self.value(at + 1)
            text += more
        return text, at

    def named(self, at: int) -> tuple[Any, int]:
        """What begins with a name: a constant, a variable, a call, a composite."""
        text = self.tokens[at].text
        if text == "map":
            return self.typed(at)
        if text == "func":
            raise NoLiteral("func")
        at += 1
        while self.tokens[at].text == "." and self.tokens[at + 1].kind == "name":
            text, at = f"{text}.{self.tokens[at + 1].text}", at + 2
        if self.tokens[at].text == "(":
            arguments, at = self.listed(at, ")")
            return Call(text, tuple(value for _, value in arguments)), at
        if self.tokens[at].text == "{":
            return self.composite(text, at)
        constants: dict[str, Any] = {"true": True, "false": False, "nil": None}
        return constants.get(text, Name(text)), at

    def typed(self, at: int) -> tuple[Any, int]:
        """A slice or map: its type up to the brace, and what is in it; or a conversion to such a type."""
        start = at
        while self.tokens[at].text not in ("{", "("):
            if self.tokens[at].text == "interface" or self.tokens[at].text == "struct":
                at = self.closing(at + 1) + 1
            else:
                at = self.closing(at) + 1 if self.tokens[at].text == "[" else at + 1
        text = "".join(token.text for token in self.tokens[start:at])
        if self.tokens[at].text == "(":
            arguments, at = self.listed(at, ")")
            return Call(text, tuple(value for _, value in arguments)), at
        return self.composite(text, at)

    def composite(self, text: str, at: int) -> tuple[Literal, int]:
        entries, at = self.listed(at, "}")
        return Literal(text, entries), at

    def listed(self, at: int, end: str) -> tuple[list[tuple[Any, Any]], int]:
        """What stands between brackets, separated by commas."""
        at += 1
        entries: list[tuple[Any, Any]] = []
        while self.tokens[at].text != end:
            value, at = self.value(at)
            key = None
            if self.tokens[at].text == ":":
                key = value
                value, at = self.value(at + 1)
            entries.append((key, value))
            if self.tokens[at].text == ",":
                at += 1
            elif self.tokens[at].text != end:
                raise NoLiteral(self.tokens[at].text)
        return entries, at + 1


def unquoted(text: str) -> str:
    """A text literal's text."""
    if text[0] == "`":
        return text[1:-1]
    return text[1:-1].encode().decode("unicode_escape").encode("latin-1", "replace").decode(errors="replace")
