"""The formats of strings that Kubernetes checks. A format that is not here says nothing about a value.

Source: Kubernetes API reference, "JSONSchemaProps" (`format`). Names are compared without their dashes.
"""

from __future__ import annotations

import binascii
import datetime
import ipaddress
import re
from collections.abc import Callable
from email.utils import parseaddr
from urllib.parse import urlsplit

from timonier.api import names

Check = Callable[[str], bool]
NUMBER_FORMATS = {"integer": ("int32", "int64"), "number": ("float", "double")}

BYTE_255 = r"(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])"
CLOCK = re.compile(r"(\d{2}):(\d{2}):(\d{2})(.\d+)?(z|[+-]\d{2}:\d{2})", re.ASCII)
GO_DURATION = re.compile(r"[+-]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
SCALA_DURATION = re.compile(r"\d+\s*([A-Za-zµ]+)", re.ASCII)
UNITS = ("ns", "us", "µs", "ms", "s", "m", "h", "hr", "d", "w", "wk")
UNIT_BEGINNINGS = ("nano", "micro", "milli", "sec", "min", "hour", "day", "week")
LETTER_OR_SYMBOL = r"[^\W_]"
HOSTNAME = re.compile(rf"(?:{LETTER_OR_SYMBOL}(?:-?{LETTER_OR_SYMBOL}{{0,62}})?"
                      rf"|(?:{LETTER_OR_SYMBOL}(?:(?:{LETTER_OR_SYMBOL}|-){{0,61}}{LETTER_OR_SYMBOL})?\.)+"
                      rf"[^\W\d_]{{2,63}})")
CREDIT_CARD = re.compile(r"4\d{12}(\d{3})?|5[1-5]\d{14}|6(011|5\d\d)\d{12}|3[47]\d{13}|3(0[0-5]|[68]\d)\d{11}"
                         r"|(2131|1800|35\d{3})\d{11}", re.ASCII)


def form(pattern: str, flags: int = 0) -> Check:
    matches = re.compile(pattern, flags | re.ASCII).fullmatch
    return lambda text: matches(text) is not None


def uuid(version: str, variant: str = "[0-9a-f]") -> Check:
    return form(rf"[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{version}[0-9a-f]{{3}}-?{variant}[0-9a-f]{{3}}-?[0-9a-f]{{12}}", re.I)


def date(text: str) -> bool:
    try:
        return len(text) == 10 and text[4] == text[7] == "-" and bool(datetime.date.fromisoformat(text))
    except ValueError:
        return False


def date_time(text: str) -> bool:
    day, _, clock = text.lower().partition("t")
    found = CLOCK.fullmatch(clock)
    return date(day) and found is not None and found[1] <= "23" and found[2] <= "59" and found[3] <= "59"


def duration(text: str) -> bool:
    """As Go's time.ParseDuration or Scala's durations: `1h30m`, `22 ns`, `3 weeks`."""
    if GO_DURATION.fullmatch(text):
        return True
    units = [unit.lower() for unit in SCALA_DURATION.findall(text)]
    return any(unit in UNITS or unit.startswith(UNIT_BEGINNINGS) for unit in units)


def without_zeros(text: str) -> str:
    """IPv4 without the leading zeros that Kubernetes tolerates."""
    return re.sub(r"\b0+(?=\d)", "", text) if ":" not in text else text


def address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(without_zeros(text)))
    except ValueError:
        return False


def cidr(text: str) -> bool:
    host, slash, bits = text.partition("/")
    if not slash or not re.fullmatch(r"\d{1,3}", bits, re.ASCII) or not address(host):
        return False
    return int(bits) <= (128 if ":" in host else 32)


def mac(text: str) -> bool:
    """Six, eight or twenty octets: `00:00:5e:00:53:01`, `00-00-5e-…`, `0000.5e00.5301`."""
    width, separator = (4, ".") if "." in text else (2, ":" if ":" in text else "-")
    groups = text.split(separator)
    return len(groups) * width // 2 in (6, 8, 20) \
        and all(re.fullmatch(f"[0-9A-Fa-f]{{{width}}}", group) for group in groups)


def uri(text: str) -> bool:
    """What Go's url.ParseRequestURI takes: an absolute URI or an absolute path."""
    if any(letter <= " " or letter == "\x7f" for letter in text):
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return text.startswith("/") or bool(parts.scheme)


def email(text: str) -> bool:
    _, found = parseaddr(text)
    local, _, domain = found.rpartition("@")
    return bool(local and domain) and text.rstrip().endswith((found, f"<{found}>"))


def hostname(text: str) -> bool:
    return HOSTNAME.fullmatch(text) is not None and len(text.encode()) <= 255 \
        and all(len(label.encode()) <= 63 for label in text.split("."))


def isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"\d{9}[\dX]", digits, re.ASCII):
        return False
    return sum((10 - place) * (10 if digit == "X" else int(digit)) for place, digit in enumerate(digits)) % 11 == 0


def isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"\d{13}", digits, re.ASCII):
        return False
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10 == 0


def credit_card(text: str) -> bool:
    digits = re.sub(r"[^0-9]+", "", text)
    if not CREDIT_CARD.fullmatch(digits):
        return False
    doubled = (int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def base64(text: str) -> bool:
    try:
        return bool(text) and len(binascii.a2b_base64(text, strict_mode=True)) > 0
    except (binascii.Error, ValueError):
        return False


FORMATS: dict[str, Check] = {
    "bsonobjectid": form("[0-9a-f]{24}", re.I),
    "uri": uri,
    "email": email,
    "hostname": hostname,
    "ipv4": lambda text: address(text) and "." in text,
    "ipv6": lambda text: address(text) and ":" in text,
    "cidr": cidr,
    "mac": mac,
    "uuid": uuid("[0-9a-f]"),
    "uuid3": uuid("3"),
    "uuid4": uuid("4", "[89ab]"),
    "uuid5": uuid("5", "[89ab]"),
    "isbn": lambda text: isbn10(text) or isbn13(text),
    "isbn10": isbn10,
    "isbn13": isbn13,
    "creditcard": credit_card,
    "ssn": form(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": form("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": form(rf"rgb\(\s*{BYTE_255}\s*,\s*{BYTE_255}\s*,\s*{BYTE_255}\s*\)"),
    "byte": base64,
    "password": lambda text: True,
    "date": date,
    "duration": duration,
    "datetime": date_time,
    "k8sshortname": lambda text: not names.plain_label(text),
    "k8slongname": lambda text: not names.dns_subdomain(text),
}


def known(kind: str, name: str) -> bool:
    """Whether a format says something about values of a type (`string`, `integer`; empty for any)."""
    if kind in ("", "string"):
        return name.replace("-", "") in FORMATS
    return name in NUMBER_FORMATS.get(kind, ())


def check_of(name: str) -> Check | None:
    """The check of strings of a format."""
    return FORMATS.get(name.replace("-", ""))
