"""Label selectors and field selectors: from their text forms and from `LabelSelector` objects.

Both are immutable values, cheap to match with and fit to be dictionary keys. Their texts and messages are Kubernetes's.
Source: Kubernetes documentation, "Labels and Selectors", "Field Selectors".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from timonier.api import names


class BadSelector(ValueError):
    """A selector that cannot be understood; the message is for the user."""


OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt")
EVERY_OPERATOR = (*OPERATORS, "exists", "!")
SYMBOLS = {"=": "=", "==": "==", "!=": "!=", ">": "gt", "<": "lt", "in": "in", "notin": "notin"}
OF_OBJECTS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. `operator` is one of EVERY_OPERATOR."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "=" | "==" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        number, bound = integer(value), integer(self.values[0])
        if number is None or bound is None:
            return False
        return number > bound if self.operator == "gt" else number < bound

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
        return f"{self.key}{ {'gt': '>', 'lt': '<'}.get(self.operator, self.operator)}{self.values[0]}"

    def wrong(self) -> Iterator[str]:
        """What Kubernetes would say against it."""
        if texts := names.qualified_name(self.key):
            yield f'key: Invalid value: "{self.key}": {"; ".join(texts)}'
        shown = "[" + ",".join(f'"{value}"' for value in self.values) + "]"
        match self.operator:
            case "in" | "notin" if not self.values:
                yield f"values: Invalid value: {shown}: for 'in', 'notin' operators, values set can't be empty"
            case "=" | "==" | "!=" if len(self.values) != 1:
                yield f"values: Invalid value: {shown}: exact-match compatibility requires one single value"
            case "exists" | "!" if self.values:
                yield f"values: Invalid value: {shown}: values set must be empty for exists and does not exist"
            case "gt" | "lt":
                if len(self.values) != 1:
                    yield f"values: Invalid value: {shown}: for 'Gt', 'Lt' operators, exactly one value is required"
                for index, value in enumerate(self.values):
                    if integer(value) is None:
                        yield (f'values[{index}]: Invalid value: "{value}": '
                               "for 'Gt', 'Lt' operators, the value must be an integer")
        for index, value in enumerate(self.values):
            if texts := names.label_value(value):
                yield f'values[{index}][{self.key}]: Invalid value: "{value}": {"; ".join(texts)}'


def integer(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[-+]?[0-9]{1,19}", text) else None


@dataclass(frozen=True, slots=True)
class Labels:
    """A label selector: all requirements hold. None of them means everything, `nothing` that no object matches."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    @classmethod
    def parse(cls, text: str) -> Labels:
        """From `app=web,tier in (a,b),!legacy`. Raises BadSelector."""
        return cls(tuple(sorted(Parser(text).requirements(), key=lambda requirement: requirement.key)))

    @classmethod
    def of(cls, selector: Any) -> Labels:
        """From a `LabelSelector`, as a dict or a Struct: None selects nothing, an empty one everything.

        Raises BadSelector.
        """
        if selector is None:
            return NOTHING
        pairs = member(selector, "matchLabels") or {}
        found = [checked(Requirement(key, "in", (value,))) for key, value in sorted(pairs.items())]
        for expression in member(selector, "matchExpressions") or ():
            written = member(expression, "operator")
            operator = OF_OBJECTS.get(written)
            if operator is None or operator in ("gt", "lt"):
                raise BadSelector(f'"{written}" is not a valid label selector operator')
            values = tuple(member(expression, "values") or ())
            found.append(checked(Requirement(member(expression, "key") or "", operator, values)))
        return cls(tuple(sorted(found, key=lambda requirement: requirement.key)))

    @classmethod
    def exactly(cls, pairs: Mapping[str, str] | None) -> Labels:
        """From the plain map of a Service or ReplicationController; empty selects nothing."""
        if not pairs:
            return NOTHING
        return cls(tuple(Requirement(key, "=", (value,)) for key, value in sorted(pairs.items())))

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        if self.nothing:
            return False
        given = labels or {}
        return all(requirement.matches(given) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        """Whether it restricts nothing."""
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = Labels()
NOTHING = Labels(nothing=True)


def member(thing: Any, name: str) -> Any:
    """A field of a dict or of a Struct."""
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name)


def checked(requirement: Requirement) -> Requirement:
    """The requirement, if nothing is wrong with it. Raises BadSelector."""
    texts = list(requirement.wrong())
    if texts:
        raise BadSelector(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
    return requirement


TOKEN = re.compile(r"[ \t\r\n]*(?:([^=!(),><\s]+)|(==|!=|[=!(),><]))")
BLANK = re.compile(r"[ \t\r\n]*")
END = ""


class Parser:
    """Recursive descent over the tokens of a label selector; `in` and `notin` are words only where one may stand."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, bool]] = []
        position, end = 0, len(text)
        while (position := matched_end(BLANK, text, position)) < end:
            found = TOKEN.match(text, position)
            if not found:
                raise BadSelector(f"found '{text[position:]}', expected: !, identifier, or 'end of string'")
            self.tokens.append((found[1] or found[2], found[1] is not None))
            position = found.end()
        self.tokens.append((END, False))
        self.position = 0

    def peek(self) -> tuple[str, bool]:
        return self.tokens[min(self.position, len(self.tokens) - 1)]

    def take(self) -> tuple[str, bool]:
        token = self.peek()
        self.position += 1
        return token

    def requirements(self) -> Iterator[Requirement]:
        while (token := self.peek())[0] != END:
            text, word = token
            if not word and text != "!":
                raise BadSelector(f"found '{text}', expected: !, identifier, or 'end of string'")
            try:
                yield self.requirement()
            except BadSelector as error:
                raise BadSelector(f"unable to parse requirement: {error}") from None
            text, _ = self.take()
            if text == ",":
                text, word = self.peek()
                if not word and text != "!":
                    raise BadSelector(f"found '{text}', expected: identifier after ','")
            elif text != END:
                raise BadSelector(f"found '{text}', expected: ',' or 'end of string'")

    def requirement(self) -> Requirement:
        text, word = self.take()
        absent = text == "!" and not word
        if absent:
            text, word = self.take()
        if not word:
            raise BadSelector(f"found '{text}', expected: identifier")
        if wrong := names.qualified_name(text):
            raise BadSelector(f'<nil>: Invalid value: "{text}": {"; ".join(wrong)}')
        key = text
        if self.peek()[0] in (END, ","):
            return Requirement(key, "!" if absent else "exists")
        text, _ = self.take()
        if text not in SYMBOLS:
            raise BadSelector(f"found '{text}', expected: {', '.join(OPERATORS)}")
        operator = SYMBOLS[text]
        values = self.values() if operator in ("in", "notin") else (self.value(),)
        return checked(Requirement(key, operator, values))

    def value(self) -> str:
        text, word = self.peek()
        if text in (END, ","):
            return ""
        self.take()
        if not word:
            raise BadSelector(f"found '{text}', expected: identifier")
        return text

    def values(self) -> tuple[str, ...]:
        """`(a,,b)`: an empty place is the empty value."""
        text, _ = self.take()
        if text != "(":
            raise BadSelector(f"found '{text}' expected: '('")
        found = {self.place()}
        while (text := self.take()[0]) == ",":
            found.add(self.place())
        if text != ")":
            raise BadSelector(f"found '{text}', expected: ',' or ')'")
        return tuple(sorted(found))

    def place(self) -> str:
        text, word = self.peek()
        if not word and text not in (",", ")"):
            raise BadSelector(f"found '{text}', expected: ',', ')' or identifier")
        return self.take()[0] if word else ""


def matched_end(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


@dataclass(frozen=True, slots=True)
class Term:
    """`field=value`, or `field!=value` where not `equal`."""

    field: str
    value: str
    equal: bool = True


@dataclass(frozen=True, slots=True)
class Fields:
    """A field selector: all terms hold. Which fields a kind offers is for the API server to say."""

    terms: tuple[Term, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Fields:
        r"""From `status.phase!=Running,spec.nodeName=n1`; `\,`, `\=` and `\\` stand for themselves.

        Raises BadSelector.
        """
        parts = sorted(part for part in re.findall(r"(?:\\.|[^,\\]|\\$)+", text) if part)
        return cls(tuple(term(text, part) for part in parts))

    def matches(self, get: Callable[[str], str]) -> bool:
        """Whether an object matches, given how to read one of its fields (absent ones are empty)."""
        return all((get(term.field) == term.value) is term.equal for term in self.terms)

    def required(self, field: str) -> str | None:
        """The one value that a field must have, where the selector says so: a shortcut for whoever has an index."""
        return next((term.value for term in self.terms if term.equal and term.field == field), None)

    @property
    def empty(self) -> bool:
        return not self.terms

    def __str__(self) -> str:
        return ",".join(f"{t.field}{'=' if t.equal else '!='}{escape(t.value)}" for t in self.terms)


def term(selector: str, part: str) -> Term:
    found = re.match(r"((?:\\.|[^=!\\]|!(?!=))*)(!=|==|=)(.*)", part, re.DOTALL)
    if not found:
        raise BadSelector(f"invalid selector: '{selector}'; can't understand '{part}'")
    return Term(found[1], unescape(found[3]), found[2] != "!=")


def unescape(value: str) -> str:
    for found in re.finditer(r"\\(.?)|([,=])", value, re.DOTALL):
        if found[2] or found[1] not in ("\\", ",", "="):
            shown = found[2] or found[0]
            kind = "invalid field selector: unescaped character in value" if found[2] else "invalid escape sequence"
            raise BadSelector(f"{kind}: {shown}")
    return re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)


def escape(value: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", value)


def conjunction(selectors: Sequence[Labels]) -> Labels:
    """A selector that holds where all of them do."""
    if any(selector.nothing for selector in selectors):
        return NOTHING
    return Labels(tuple(requirement for selector in selectors for requirement in selector.requirements))
