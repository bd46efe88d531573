"""The forms that names take: each function returns what is wrong with a value, in Kubernetes's words.

Names are checked with every write, and the same ones over and over: what was found of one is remembered.

Source: Kubernetes documentation, "Object Names and IDs", "Labels and Selectors".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

Wrong = tuple[str, ...]
"""What is wrong with a value: nothing, mostly."""
Check = Callable[[str], Wrong]
REMEMBERED = 4096

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
UNDERSCORED = r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*"
DNS_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL_VALUE = f"({QUALIFIED})?"
C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
ENV_NAME = "[-._a-zA-Z][-._a-zA-Z0-9]*"
CONFIG_KEY = "[-._a-zA-Z0-9]+"
HEADER = "[-A-Za-z0-9]+"
PERCENT = "[0-9]+%"
HTTP_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")

LABEL_TEXT = ("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
              "and must start and end with an alphanumeric character")
SUBDOMAIN_TEXT = ("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
                  "and must start and end with an alphanumeric character")
UNDERSCORED_TEXT = ("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' "
                    "or '.', and must start and end with an alphanumeric character")
WILDCARD_TEXT = ("a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
                 "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character")
DNS_1035_TEXT = ("a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
                 "start with an alphabetic character, and end with an alphanumeric character")
QUALIFIED_TEXT = ("must consist of alphanumeric characters, '-', '_' or '.', "
                  "and must start and end with an alphanumeric character")
LABEL_VALUE_TEXT = ("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
                    "and must start and end with an alphanumeric character")
C_IDENTIFIER_TEXT = ("a valid C identifier must start with alphabetic character or '_', "
                     "followed by a string of alphanumeric characters or '_'")
ENV_NAME_TEXT = ("a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', "
                 "and must not start with a digit")
RELAXED_ENV_NAME_TEXT = \
    "a valid environment variable name must consist only of printable ASCII characters other than '='"
CONFIG_KEY_TEXT = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
HEADER_TEXT = "a valid HTTP header must consist of alphanumeric characters or '-'"
PERCENT_TEXT = "a valid percent string must be a numeric string followed by an ending '%'"
IP_TEXT = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_TEXT = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

NAME_EXAMPLES = ("MyName", "my.name", "123-abc")
NON_EMPTY = "must be non-empty"


def pattern_text(text: str, pattern: str, *examples: str) -> str:
    """Kubernetes's sentence about a pattern, with its odd double blanks."""
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{text} (e.g. {shown}regex used for validation is '{pattern}')" if examples else \
        f"{text} (regex used for validation is '{pattern}')"


def too_long(length: int) -> str:
    return f"must be no more than {length} bytes"


def form(text: str, pattern: str, *examples: str, longest: int = 0) -> Check:
    """A check of length and pattern."""
    matches = re.compile(pattern).fullmatch
    sentence = pattern_text(text, pattern, *examples)

    @lru_cache(maxsize=REMEMBERED)
    def wrong(value: str) -> Wrong:
        long = longest and len(value.encode(errors="surrogatepass")) > longest
        return (*((too_long(longest),) if long else ()), *(() if matches(value) else (sentence,)))
    return wrong


plain_label = form(LABEL_TEXT, LABEL, "my-name", "123-abc", longest=63)
dns_subdomain = form(SUBDOMAIN_TEXT, SUBDOMAIN, "example.com", longest=253)
dns_subdomain_with_underscore = form(UNDERSCORED_TEXT, UNDERSCORED, "example.com", longest=253)
wildcard_dns_subdomain = form(WILDCARD_TEXT, rf"\*\.{SUBDOMAIN}", "*.example.com", longest=253)
dns1035 = form(DNS_1035_TEXT, DNS_1035, "my-name", "abc-123", longest=63)
label_value = form(LABEL_VALUE_TEXT, LABEL_VALUE, "MyValue", "my_value", "12345", longest=63)
c_identifier = form(C_IDENTIFIER_TEXT, C_IDENTIFIER, "my_name", "MY_NAME", "MyName")
http_header = form(HEADER_TEXT, HEADER, "X-Header-Name")
percent = form(PERCENT_TEXT, PERCENT, "1%", "93%")
name_part = form(QUALIFIED_TEXT, QUALIFIED, *NAME_EXAMPLES, longest=63)
config_key_form = form(CONFIG_KEY_TEXT, CONFIG_KEY, "key.name", "KEY_NAME", "key-name", longest=253)
strict_env_name = form(ENV_NAME_TEXT, ENV_NAME, "my.env-name", "MY_ENV.NAME", "MyEnvName1")


@lru_cache(maxsize=REMEMBERED)
def dns_label(value: str) -> Wrong:
    """Names that become one label of a DNS name: namespaces, containers, volumes."""
    wrong = plain_label(value)
    if wrong and "." in value and re.fullmatch(SUBDOMAIN, value):
        return (*wrong[:-1], "must not contain dots")
    return wrong


@lru_cache(maxsize=REMEMBERED)
def qualified_name(value: str) -> Wrong:
    """Label keys, annotation keys, resource names: `name` or `example.com/name`."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return ("a valid label key " + pattern_text(QUALIFIED_TEXT, QUALIFIED, *NAME_EXAMPLES)
                + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",)
    wrong: list[str] = []
    if slash:
        wrong += [f"prefix part {text}" for text in ([NON_EMPTY] if not prefix else dns_subdomain(prefix))]
    wrong += [f"name part {NON_EMPTY}"] if not name else []
    return (*wrong, *(f"name part {text}" for text in name_part(name)))


def relative(value: str) -> Wrong:
    """`.`, `..` and `..x` would climb or hide where names become file names."""
    if value in (".", ".."):
        return (f"must not be '{value}'",)
    return ("must not start with '..'",) if value.startswith("..") else ()


def config_key(value: str) -> Wrong:
    """Keys of ConfigMaps and Secrets, which become file names."""
    return config_key_form(value) + relative(value)


@lru_cache(maxsize=REMEMBERED)
def env_name(value: str) -> Wrong:
    """Names of environment variables: printable ASCII but for `=` (since v1.34)."""
    if not value:
        return (f"environment variable name {NON_EMPTY}",)
    return () if re.fullmatch("[ -<>-~]+", value) else (RELAXED_ENV_NAME_TEXT,)


def path_segment(value: str) -> Wrong:
    """Names that need only fit in a URL path: Roles, Bindings, StorageClasses of old."""
    if value in (".", ".."):
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{letter}'" for letter in "/%" if letter in value)


@lru_cache(maxsize=REMEMBERED)
def port_name(value: str) -> Wrong:
    """Names of container and service target ports (IANA service names)."""
    wrong = [too_long(15)] if len(value) > 15 else []
    if not re.fullmatch("[-a-z0-9]+", value):
        wrong.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        wrong.append("must contain at least one letter (a-z)")
    if "--" in value:
        wrong.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        wrong.append("must not begin or end with a hyphen")
    return tuple(wrong)


def port_number(value: int) -> Wrong:
    return in_range(value, 1, 65535)


def in_range(value: int, low: int, high: int) -> Wrong:
    return () if low <= value <= high else (f"must be between {low} and {high}, inclusive",)


@lru_cache(maxsize=REMEMBERED)
def ip(value: str) -> Wrong:
    """IPv4 without leading zeros, IPv6 without a zone."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return (IP_TEXT,)
    return (IP_TEXT,) if getattr(address, "scope_id", None) else ()


@lru_cache(maxsize=REMEMBERED)
def cidr(value: str) -> Wrong:
    """A network in prefix notation; bits behind the prefix may be set."""
    address, slash, bits = value.partition("/")
    if not slash or not re.fullmatch("0|[1-9][0-9]{0,2}", bits) or ip(address):
        return (CIDR_TEXT,)
    return () if int(bits) <= ipaddress.ip_address(address).max_prefixlen else (CIDR_TEXT,)


def csi_driver(value: str) -> Wrong:
    """Names of CSI drivers: of at most 63 bytes, and a subdomain but for the case of its letters."""
    return ((too_long(63),) if len(value) > 63 else ()) + dns_subdomain(value.lower())


@lru_cache(maxsize=REMEMBERED)
def domain_prefixed(value: str) -> Wrong:
    """Names of controllers: a domain and a path, `acme.io/foo`."""
    domain, slash, path = value.partition("/")
    if not slash or not domain or not path:
        return ('must be a domain-prefixed path (such as "acme.io/foo")',)
    wrong = dns_subdomain(domain)
    return wrong if HTTP_PATH.fullmatch(path) else (*wrong, pattern_text("Invalid path", HTTP_PATH.pattern))


def anything(value: str) -> Wrong:
    """Names whose form depends on the rest of their object."""
    return ()
