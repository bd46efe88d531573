"""Text into tokens. What is no token is reported in the words of cel-go's lexer, and skipped."""

from __future__ import annotations

import re
from typing import NamedTuple

from timonier.api.cel.syntax import Problem


class Token(NamedTuple):
    """`kind` is INT, UINT, FLOAT, STRING, BYTES, NAME, ESCAPED, END, or, of signs and words, the text itself."""

    kind: str
    text: str
    at: int

    @property
    def shown(self) -> str:
        return "<EOF>" if self.kind == "END" else self.text.replace("\n", "\\n").replace("\t", "\\t")


WORDS = frozenset({"in", "true", "false", "null"})
LETTER, LONG_LETTER = r"(?:\\[^\n]|[^\\{0}\n\r])", r"(?:\\[^\n]|[^\\])"
QUOTES = ("'", '"')
QUOTED = "|".join([*(f"{quote * 3}{LONG_LETTER}*?{quote * 3}" for quote in QUOTES),
                   *(f"{quote}{LETTER.format(quote)}*{quote}" for quote in QUOTES)])
RAW = "|".join([*(rf"{quote * 3}[^\0]*?{quote * 3}" for quote in QUOTES),
                *(rf"{quote}[^{quote}\n\r]*{quote}" for quote in QUOTES)])
TOKEN = re.compile(rf"""
    (?P<SPACE>[ \t\r\n\f]+|//[^\n]*)
  | (?P<BYTES>[bB](?:[rR](?:{RAW})|(?:{QUOTED}))|[rR][bB](?:{RAW}))
  | (?P<STRING>[rR](?:{RAW})|{QUOTED})
  | (?P<FLOAT>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
  | (?P<UINT>(?:0x[0-9a-fA-F]+|[0-9]+)[uU])
  | (?P<INT>0x[0-9a-fA-F]+|[0-9]+)
  | (?P<NAME>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<ESCAPED>`[A-Za-z0-9_.\-/ ]+`)
  | (?P<SIGN>==|!=|<=|>=|&&|\|\||[\[\]{{}}().,\-!?:+*/%<>])
""", re.VERBOSE)
LOST = re.compile(r"""'''[^\0]*|\"\"\"[^\0]*|['"][^'"\n]*|`[^`\n]*|[&|=](?:[^&|=]|$)|[^\0]""")
"""How much of the text is lost at a place where no token stands."""


def tokens(text: str) -> tuple[list[Token], list[Problem]]:
    """All tokens, with END as the last, and what had to be skipped."""
    found, problems, at = [], [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            lost = LOST.match(text, at)
            skipped = lost.group() if lost else text[at]
            problems.append(Problem(at, f"Syntax error: token recognition error at: '{shown(skipped)}'"))
            at += len(skipped) or 1
            continue
        kind, word = match.lastgroup or "", match.group()
        if kind != "SPACE":
            found.append(Token(word if kind == "SIGN" or word in WORDS else kind, word, at))
        at = match.end()
    found.append(Token("END", "", len(text)))
    return found, problems


def shown(text: str) -> str:
    return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


class BadEscape(ValueError):
    """A string literal that cannot be read; the message is cel-go's."""


ESCAPE = re.compile(r"\\(?:[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})"
                    r"|([abfnrtv\\'\"`?])|(.?))", re.DOTALL)
LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def string_value(literal: str) -> str:
    """The text that a string literal stands for. Raises BadEscape."""
    body, raw = inside(literal)
    return body if raw or "\\" not in body else ESCAPE.sub(letter, body)


def bytes_value(literal: str) -> bytes:
    """The bytes that a literal (`b'…'`) stands for: text as UTF-8, `\\x` and octal escapes as bytes. Raises BadEscape.
    """
    raw = literal[:2].lower() in ("br", "rb")
    body, _ = inside(literal.lstrip("bBrR"))
    if raw or "\\" not in body:
        return body.encode()
    parts, last = [], 0
    for match in ESCAPE.finditer(body):
        parts.append(body[last:match.start()].encode())
        last = match.end()
        byte, short, long, octal, *_ = match.groups()
        if short or long:
            raise BadEscape("unable to unescape string")
        parts.append(bytes([int(byte, 16)]) if byte else bytes([int(octal, 8)]) if octal else letter(match).encode())
    return b"".join([*parts, body[last:].encode()])


def inside(literal: str) -> tuple[str, bool]:
    """What stands between the quotes, and whether backslashes mean themselves."""
    raw = literal[0] in "rR"
    literal = literal.lstrip("rR").replace("\r\n", "\n").replace("\r", "\n")
    width = 3 if len(literal) >= 6 and literal[:3] in ("'''", '"""') else 1
    return literal[width:-width], raw


def letter(match: re.Match[str]) -> str:
    byte, short, long, octal, sign, other = match.groups()
    if sign:
        return LETTERS.get(sign, sign)
    if other is not None:
        raise BadEscape("unable to unescape octal sequence in string" if other and other in "0123"
                        else "unable to unescape string")
    point = int(octal, 8) if octal else int(byte or short or long, 16)
    if point > 0x10FFFF or 0xD800 <= point < 0xE000:
        raise BadEscape("invalid unicode code point")
    return chr(point)
