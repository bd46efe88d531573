"""Regular expressions as Go reads them: RE2, whose matching time is linear in the text, whatever the pattern is.

Patterns come from users and are matched against what other users send; Python's own `re` reads another language and
can be made to run for ever.
"""

from __future__ import annotations

from functools import lru_cache

GO_WORDS = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "trailing \\": "trailing backslash at end of expression",
    "invalid named capture group": "invalid named capture",
    "pattern too large - compile failed": "expression too large",
}
"""What RE2 says, and what Go's regexp package says of the same mistake."""


class BadPattern(ValueError):
    """A pattern that is not RE2; the message is Go's."""


class Pattern:
    """A compiled pattern."""

    __slots__ = ("_anywhere", "_engine")

    def __init__(self, pattern: str) -> None:
        # Only where patterns are used, since it costs a process 20 ms and 5 MB; and not through the module's own
        # `compile`, whose `search` takes ten times as long.
        from re2 import Options, _re2

        options = Options()
        options.log_errors = False
        self._engine, self._anywhere = _re2.RE2(pattern.encode(errors="replace"), options), _re2.RE2.Anchor.UNANCHORED
        if not self._engine.ok():
            raise BadPattern(go_error(self._engine.error().decode(), pattern))

    def occurs(self, text: str) -> bool:
        """Whether it matches anywhere in a text."""
        raw = text.encode(errors="replace")
        return bool(self._engine.Match(self._anywhere, raw, 0, len(raw))[0][0] >= 0)

    def find_all(self, text: str, limit: int = -1) -> list[str]:
        """What it matches, one after the other, as Go's FindAllString; at most `limit` where that is not negative."""
        raw, at, last = text.encode(errors="replace"), 0, -1
        matches: list[str] = []
        while at <= len(raw) and len(matches) != limit:
            start, end = self._engine.Match(self._anywhere, raw, at, len(raw))[0]
            if start < 0:
                break
            if start != end or start != last:
                matches.append(raw[start:end].decode())
            last, at = end, end if end > start else end + letter(raw, end)
        return matches


def letter(raw: bytes, at: int) -> int:
    """How many bytes the letter at a place takes."""
    first = raw[at] if at < len(raw) else 0
    return 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Pattern:
    """A compiled pattern, remembered. Raises BadPattern."""
    return Pattern(pattern)


def go_error(said: str, pattern: str) -> str:
    what, _, where = said.partition(": ")
    where = where or ("" if what == "trailing \\" else pattern)
    return f"error parsing regexp: {GO_WORDS.get(what, what)}: `{where}`"


def found(pattern: str, text: str) -> bool:
    """Whether a pattern occurs in a text. Raises BadPattern."""
    return compiled(pattern).occurs(text)
