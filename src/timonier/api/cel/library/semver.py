"""Semantic versions (semver.org): `semver('1.2.3-rc.1')`, and with `true` also `v1.2` and `01.2.3`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from timonier.api.cel.costs import Scan
from timonier.api.cel.functions import function, method
from timonier.api.cel.types import BOOL, INT, STRING, Type
from timonier.api.cel.values import Failure

SEMVER = Type("kubernetes.Semver")
TYPES = [SEMVER]
SINCE = 33
LONGEST = 20
"""Digits of a number."""
IDENTIFIER = re.compile(r"[0-9A-Za-z-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Semver:
    """`before` are the parts of the pre-release: numbers, then words. What is built of it does not count."""

    numbers: tuple[int, int, int]
    before: tuple[int | str, ...] = ()
    build: str = field(default="", compare=False)
    cel_type: ClassVar[Type] = SEMVER
    cel_equality: ClassVar[int] = 1

    def order(self) -> tuple[Any, ...]:
        parts = tuple((isinstance(part, str), part if isinstance(part, int) else 0, str(part)) for part in self.before)
        return self.numbers, not self.before, parts


def number(text: str, name: str) -> int:
    if len(text) > LONGEST:
        raise Failure(f'strconv.ParseUint: parsing "{text}": value out of range')
    if not text.isascii() or not text.isdecimal():
        raise Failure(f'Invalid character(s) found in {name} number "{text}"')
    if len(text) > 1 and text[0] == "0":
        raise Failure(f'{name.capitalize()} number must not contain leading zeroes "{text}"')
    return int(text)


def read(text: str) -> Semver:
    """Raises Failure."""
    if not text:
        raise Failure("Version string empty")
    parts = text.split(".", 2)
    if len(parts) != 3:
        raise Failure("No Major.Minor.Patch elements found")
    rest, _, build = parts[2].partition("+")
    patch, dash, before = rest.partition("-")
    numbers = (number(parts[0], "major"), number(parts[1], "minor"), number(patch, "patch"))
    for part in [*(before.split(".") if dash else []), *(build.split(".") if "+" in parts[2] else [])]:
        if not IDENTIFIER.fullmatch(part):
            raise Failure("Prerelease is empty" if not part else f'Invalid character(s) found in prerelease "{part}"')
    return Semver(numbers, tuple(pre(part) for part in before.split(".")) if dash else (), build)


def pre(part: str) -> int | str:
    if not part.isdecimal():
        return part
    if len(part) > 1 and part[0] == "0":
        raise Failure(f'Numeric PreRelease version must not contain leading zeroes "{part}"')
    return int(part) if len(part) <= LONGEST else part


def read_leniently(text: str, lenient: bool) -> Semver:
    """With `lenient`, a `v` before it, leading zeros and missing numbers are mended first."""
    if not lenient:
        return read(text)
    parts = [re.sub(r"^0+(?=\d)", "", part) for part in text.removeprefix("v").split(".", 2)]
    if len(parts) < 3 and re.search(r"[+-]", parts[-1]):
        raise Failure("short version cannot contain PreRelease/Build meta data")
    return read(".".join([*parts, "0", "0"][:max(3, len(parts))]))


def is_semver(text: str, lenient: bool = False) -> bool:
    try:
        read_leniently(text, lenient)
    except Failure:
        return False
    return True


def compared(one: Semver, other: Semver) -> int:
    return int(one.order() > other.order()) - int(one.order() < other.order())


FUNCTIONS = [
    function("semver", "string_to_semver", [STRING], SEMVER, read, Scan(), SINCE),
    function("semver", "string_bool_to_semver", [STRING, BOOL], SEMVER, read_leniently, Scan(), SINCE),
    function("isSemver", "is_semver_string", [STRING], BOOL, is_semver, Scan(), SINCE),
    function("isSemver", "is_semver_string_bool", [STRING, BOOL], BOOL, is_semver, Scan(), SINCE),
    method("isGreaterThan", "semver_is_greater_than", [SEMVER, SEMVER], BOOL,
           lambda one, other: compared(one, other) > 0, since=SINCE),
    method("isLessThan", "semver_is_less_than", [SEMVER, SEMVER], BOOL,
           lambda one, other: compared(one, other) < 0, since=SINCE),
    method("compareTo", "semver_compare_to", [SEMVER, SEMVER], INT, compared, since=SINCE),
    method("major", "semver_major", [SEMVER], INT, lambda one: one.numbers[0], since=SINCE),
    method("minor", "semver_minor", [SEMVER], INT, lambda one: one.numbers[1], since=SINCE),
    method("patch", "semver_patch", [SEMVER], INT, lambda one: one.numbers[2], since=SINCE),
]
