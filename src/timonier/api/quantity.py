"""Quantities: `100m`, `1Gi`, `2e3`. Exact arithmetic, and the canonical form in which Kubernetes writes them.

A value is a `Fraction`, no finer than a billionth: what is finer is rounded away from zero when read.
Source: Kubernetes API reference, "Quantity".
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

NANO = 10**9
LARGEST = 2**63 - 1
"""Binary quantities are capped here."""

DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
DECIMAL_SUFFIX = {power: suffix for suffix, power in DECIMAL.items()}
BINARY_SUFFIX = {power: suffix for suffix, power in BINARY.items()} | {0: ""}

FORM = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
EXPONENT = re.compile(r"[eE]([-+]?[0-9]+)", re.ASCII)
LARGEST_EXPONENT = 1000
"""Of exponents and of digits. Beyond it a number would cost more to hold than anyone could mean by it."""

WRONG_FORM = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
WRONG_NUMBER = "unable to parse numeric part of quantity"
WRONG_SUFFIX = "unable to parse quantity's suffix"


class BadQuantity(ValueError):
    """A text is no quantity; the message is Kubernetes's."""


@lru_cache(maxsize=4096)
def read(text: str) -> tuple[int, str]:
    """Billionths, and the format: `decimal`, `binary` or `exponent`. Raises BadQuantity."""
    found = FORM.fullmatch(text)
    if not found or not text:
        raise BadQuantity(WRONG_FORM)
    sign, whole, decimals, suffix = found.groups()
    decimals = decimals or ""
    two, ten, style = factor(suffix)
    if not 0 < len(whole + decimals) <= LARGEST_EXPONENT:
        raise BadQuantity(WRONG_NUMBER)
    power = ten + 9 - len(decimals)
    digits = int(whole + decimals) << two
    billionths = digits * 10**power if power >= 0 else -(-digits // 10**-power)
    if style == "binary":
        billionths = min(billionths, LARGEST * NANO)
    return -billionths if sign == "-" else billionths, style


def factor(suffix: str) -> tuple[int, int, str]:
    """The power of two and of ten that a suffix stands for, and the format that it belongs to."""
    if suffix in DECIMAL:
        return 0, DECIMAL[suffix], "decimal"
    if suffix in BINARY:
        return BINARY[suffix], 0, "binary"
    found = EXPONENT.fullmatch(suffix)
    if not found or abs(int(found[1])) > LARGEST_EXPONENT:
        raise BadQuantity(WRONG_SUFFIX)
    return 0, int(found[1]), "exponent"


@lru_cache(maxsize=4096)
def parse(text: str) -> Fraction:
    """The exact value. Raises BadQuantity."""
    return Fraction(read(text)[0], NANO)


def milli(text: str) -> int:
    """Thousandths, rounded up: CPU. Raises BadQuantity."""
    return up(read(text)[0], NANO // 1000)


def whole(text: str) -> int:
    """Units, rounded up: bytes, counts. Raises BadQuantity."""
    return up(read(text)[0], NANO)


def up(value: int, unit: int) -> int:
    """Away from zero, as Kubernetes rounds."""
    return -(-value // unit) if value >= 0 else value // unit


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """The one way to write this value in this text's format. Raises BadQuantity."""
    return write(*read(text))


def render(value: Fraction | int, like: str = "0") -> str:
    """A value, in canonical form and in the format of another quantity: sums keep the format of what was summed."""
    billionths = Fraction(value) * NANO
    return write(up(billionths.numerator, billionths.denominator), read(like)[1])


def write(billionths: int, style: str) -> str:
    """No fraction, and the largest suffix that leaves none."""
    if not billionths:
        return "0"
    if style == "binary" and abs(billionths) >= 1024 * NANO and billionths % NANO == 0:
        return in_base(billionths // NANO, 1024, 10, BINARY_SUFFIX, 60, 0)
    if style == "exponent":
        return in_base(billionths, 1000, 3, None, 10**6, -9)
    return in_base(billionths, 1000, 3, DECIMAL_SUFFIX, 18, -9)


def in_base(number: int, base: int, step: int, suffixes: dict[int, str] | None, largest: int, power: int) -> str:
    while number % base == 0 and power < largest:
        number //= base
        power += step
    return f"{number}{suffixes[power] if suffixes else f'e{power}' if power else ''}"
