"""Rules as rows: which fields of an object must be there, which values, forms, lengths and numbers they may have.

    declare(field("spec.attacher", required, form(names.csi_driver)),
            field("spec.nodeName", required),
            each("spec.tokenRequests", field("audience"), unique="audience"))

Rows are judged in the order in which they stand, which is the order of the causes. A check takes a value, which is None
where it is absent, and where it is; all but `required` have nothing against an absent one. What cannot be said so is a
function, taken in with `judged`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from timonier.api import names
from timonier.api.validation.causes import NON_NEGATIVE, POSITIVE, Causes, Obj
from timonier.api.validation.metadata import label_selector
from timonier.api.validation.metadata import labels as label_pairs

Check = Callable[[Any, str, Causes], None]
Row = Callable[[Obj, str, Causes], None]
Rule = Callable[[Obj, Causes], None]
UpdateRule = Callable[[Obj, Obj, Causes], None]


def declare(*rows: Row) -> Rule:
    """A rule for whole objects."""
    def rule(obj: Obj, causes: Causes) -> None:
        for row in rows:
            row(obj, "", causes)
    return rule


def field(path: str, *checks: Check) -> Row:
    """Checks of one field, however deep."""
    keys = path.split(".")

    def row(obj: Obj, base: str, causes: Causes) -> None:
        value, place = at(obj, keys), f"{base}.{path}" if base else path
        for check in checks:
            check(value, place, causes)
    return row


def within(path: str, *rows: Row) -> Row:
    """Rows about an object that may be absent."""
    keys = path.split(".")

    def row(obj: Obj, base: str, causes: Causes) -> None:
        value = at(obj, keys)
        if value is not None:
            for below in rows:
                below(value, f"{base}.{path}" if base else path, causes)
    return row


def each(path: str, *rows: Row, most: int = 0, unique: str = "") -> Row:
    """Rows about every object in a list; at most so many of them, and none like another in the field `unique`."""
    keys = path.split(".")

    def row(obj: Obj, base: str, causes: Causes) -> None:
        place, taken = f"{base}.{path}" if base else path, set[Any]()
        listed = at(obj, keys) or ()
        if most and len(listed) > most:
            causes.too_many(place, len(listed), most)
        for index, value in enumerate(listed):
            for below in rows:
                below(value, f"{place}[{index}]", causes)
            if unique:
                key = value.get(unique, "")
                if key in taken:
                    causes.duplicate(f"{place}[{index}].{unique}", key)
                taken.add(key)
    return row


def items(*checks: Check, most: int = 0, unique: bool = False) -> Check:
    """Checks of every element of a list of plain values."""
    def check(value: Any, path: str, causes: Causes) -> None:
        if value is not None and most and len(value) > most:
            causes.too_many(path, len(value), most)
        for index, element in enumerate(value or ()):
            for below in checks:
                below(element, f"{path}[{index}]", causes)
            if unique and element in value[:index]:
                causes.duplicate(f"{path}[{index}]", element)
    return check


def judged(function: Callable[[Obj, str, Causes], None]) -> Row:
    """A function in place of a row."""
    return function


def at(obj: Any, keys: Iterable[str]) -> Any:
    for key in keys:
        if obj is None:
            return None
        obj = obj.get(key)
    return obj


def required(value: Any, path: str, causes: Causes) -> None:
    """Something is there; an empty string, list or map is as good as nothing."""
    if value is None or value in ("", [], {}):
        causes.required(path)


def required_with(text: str) -> Check:
    """The same, with a reason."""
    def check(value: Any, path: str, causes: Causes) -> None:
        if value is None or value in ("", [], {}):
            causes.required(path, text)
    return check


def present(value: Any, path: str, causes: Causes) -> None:
    """Something is there, be it empty."""
    if value is None:
        causes.required(path)


def form(check: names.Check, prefix: str = "") -> Check:
    """A form of `api.names`, for what is not empty."""
    def judge(value: Any, path: str, causes: Causes) -> None:
        if value:
            for text in check(value):
                causes.invalid(path, value, prefix + text)
    return judge


def one_of(*supported: str) -> Check:
    def check(value: Any, path: str, causes: Causes) -> None:
        if value is not None and value not in supported:
            causes.unsupported(path, value, supported)
    return check


def between(low: int, high: int, text: str = "") -> Check:
    def check(value: Any, path: str, causes: Causes) -> None:
        if value is not None and not low <= value <= high:
            causes.invalid(path, value, text or f"must be between {low} and {high}, inclusive")
    return check


def at_least(low: int, text: str = "") -> Check:
    def check(value: Any, path: str, causes: Causes) -> None:
        if value is not None and value < low:
            causes.invalid(path, value, text or f"must be greater than or equal to {low}")
    return check


def at_most(high: int, text: str = "") -> Check:
    def check(value: Any, path: str, causes: Causes) -> None:
        if value is not None and value > high:
            causes.invalid(path, value, text or f"must be less than or equal to {high}")
    return check


def longest(length: int) -> Check:
    """Bytes of a string."""
    def check(value: Any, path: str, causes: Causes) -> None:
        if value and len(value.encode(errors="surrogatepass")) > length:
            causes.too_long(path, length)
    return check


non_negative = at_least(0, NON_NEGATIVE)
positive = at_least(1, POSITIVE)


def selector(value: Any, path: str, causes: Causes) -> None:
    if value is not None:
        label_selector(value, path, causes)


def labels(value: Any, path: str, causes: Causes) -> None:
    if value is not None:
        label_pairs(value, path, causes)


def fixed(*paths: str) -> UpdateRule:
    """A rule for updates: these fields, however deep, stay as they are."""
    split = [(path, path.split(".")) for path in paths]

    def rule(obj: Obj, old: Obj, causes: Causes) -> None:
        for path, keys in split:
            if (value := at(obj, keys)) != at(old, keys):
                causes.invalid(path, value, "field is immutable")
    return rule


def kept(*paths: str) -> UpdateRule:
    """The same, in the words of some kinds: `updates to parameters are forbidden.`"""
    def rule(obj: Obj, old: Obj, causes: Causes) -> None:
        for path in paths:
            if obj.get(path) != old.get(path):
                causes.forbidden(path, f"updates to {path} are forbidden.")
    return rule


def both(*rules: UpdateRule) -> UpdateRule:
    def rule(obj: Obj, old: Obj, causes: Causes) -> None:
        for each_rule in rules:
            each_rule(obj, old, causes)
    return rule
