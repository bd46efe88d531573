"""Regular expressions as Go reads them: RE2, whose matching time is linear in the text, whatever the pattern is.

Patterns come from users and are matched against what other users send; Python's own `re` reads another language and
can be made to run for ever.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

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


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Any:
    """A compiled pattern, whose `search` finds it anywhere in a text. Raises BadPattern."""
    import re2  # only where patterns are used: it costs a process 20 ms and 5 MB

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0]
        raise BadPattern(go_error(said.decode() if isinstance(said, bytes) else str(said), pattern)) from None


def go_error(said: str, pattern: str) -> str:
    what, _, where = said.partition(": ")
    where = where or pattern
    return f"error parsing regexp: {GO_WORDS.get(what, what)}: `{where}`"


def found(pattern: str, text: str) -> bool:
    """Whether a pattern occurs in a text. Raises BadPattern."""
    return compiled(pattern).search(text) is not None
