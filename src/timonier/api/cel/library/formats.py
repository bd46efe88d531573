"""Named formats: `format.dns1123Label().validate(name)` says what is wrong with a text, or nothing."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar

from timonier.api import names
from timonier.api.cel import types
from timonier.api.cel.costs import ONE, PATTERN, TRAVERSE, Cost, Estimate, Operand
from timonier.api.cel.functions import function, method
from timonier.api.cel.library.urls import parse_url
from timonier.api.cel.moments import parse_date, parse_timestamp
from timonier.api.cel.types import STRING, Type
from timonier.api.cel.values import NONE, Optional, size

FORMAT = Type("kubernetes.NamedFormat")
TYPES = [FORMAT]
SINCE = 31
UUID = re.compile("[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    check: Callable[[str], Sequence[str]]
    pattern: int
    """The length of the pattern that it stands for, for its cost."""
    cel_type: ClassVar[Type] = FORMAT
    cel_equality: ClassVar[int] = 1


class Validate(Cost):
    """As if a pattern were matched; which one is only known when it runs."""

    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        pattern: int = arguments[0].pattern
        return ceil((1 + size(arguments[1])) * TRAVERSE) * ceil(pattern * PATTERN)

    def estimate(self, operands: list[Operand]) -> Estimate:
        return Estimate(operands[1].size().by(TRAVERSE).by(128 * PATTERN))


def prefix(check: Callable[[str], Sequence[str]]) -> Callable[[str], Sequence[str]]:
    """Of a name that more is put behind: it may end in a dash."""
    return lambda text: check(f"{text[:-2]}a" if len(text) > 1 and text[-1] == "-" else text)


def told(read: Callable[[str], Any], problem: str) -> Callable[[str], Sequence[str]]:
    def check(text: str) -> list[str]:
        try:
            read(text)
        except (ValueError, binascii.Error) as error:
            return [problem or str(error)]
        return []
    return check


def uuid(text: str) -> list[str]:
    return [] if UUID.fullmatch(text) else ["does not match the UUID format"]


FORMATS = {name: Format(name, check, length) for name, check, length in (
    ("dns1123Label", names.plain_label, 30), ("dns1123Subdomain", names.dns_subdomain, 60),
    ("dns1035Label", names.dns1035, 30), ("qualifiedName", names.qualified_name, 60),
    ("dns1123LabelPrefix", prefix(names.plain_label), 30), ("dns1123SubdomainPrefix", prefix(names.dns_subdomain), 60),
    ("dns1035LabelPrefix", prefix(names.dns1035), 30), ("labelValue", names.label_value, 40),
    ("uri", told(parse_url, ""), 1103), ("uuid", uuid, 75),
    ("byte", told(lambda text: base64.b64decode(text, validate=True), "invalid base64"), 84),
    ("date", told(parse_date, "invalid date"), 79), ("datetime", told(parse_timestamp, "invalid datetime"), 79))}


def named(name: str) -> Optional:
    return Optional(FORMATS[name]) if name in FORMATS else NONE


def validate(form: Format, text: str) -> Optional:
    wrong = form.check(text)
    return Optional(list(wrong)) if wrong else NONE


def constant(form: Format) -> Callable[[], Format]:
    return lambda: form


FUNCTIONS = [
    *[function(f"format.{name}", f"format.{name}", [], FORMAT, constant(form), ONE, SINCE)
      for name, form in FORMATS.items()],
    function("format.named", "format-named", [STRING], types.optional_of(FORMAT), named, ONE, SINCE),
    method("validate", "format-validate", [FORMAT, STRING], types.optional_of(types.list_of(STRING)), validate,
           Validate(), SINCE),
]
