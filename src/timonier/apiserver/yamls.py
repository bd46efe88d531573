"""YAML in and out, with libyaml: the subset that is JSON in other clothes, as Kubernetes takes it.

Documents are bounded in what aliases may blow them up to; timestamps and other types that JSON lacks stay text.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

LARGEST = 1_000_000
"""Values in a document once its aliases are followed."""


DEEPEST = 250
"""Levels of nesting; JSON cannot be written with many more."""


class BadYaml(ValueError):
    """The text is not YAML that could be JSON; the message says where."""


TAG = "tag:yaml.org,2002:"
TRUE = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
FALSE = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
NULL = ("~", "null", "Null", "NULL", "")
NUMBER = re.compile(r"""[-+]?(?:0[bB][01_]+|0[oO]?[0-7_]+|0[xX][0-9a-fA-F_]+
                    |(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9_]+)?|\.(?:inf|Inf|INF))$
                    |\.(?:nan|NaN|NAN)$""", re.VERBOSE)
INTEGER = re.compile(r"([-+]?)(?:(0x|0[bo]?)(?=.))?(.+)")
INFINITE = {".nan": "NaN", ".inf": "+Inf", "-.inf": "-Inf"}
GO_EXPONENT = 1e21
"""From here on, Go writes floats with an exponent."""
BASES = {"0b": 2, "0": 8, "0o": 8, "0x": 16, None: 10}


class Loader(yaml.CSafeLoader):
    """YAML 1.1 as Go's library reads it: with JSON's types alone, `y` a truth and `1:30` a text."""


class Dumper(yaml.CSafeDumper):
    """YAML that both read alike: what either would take for something else than text is quoted."""


Loader.yaml_implicit_resolvers = {"<": [(f"{TAG}merge", re.compile("<<$"))]}
Dumper.yaml_implicit_resolvers = {first: [*found] for first, found in yaml.CSafeDumper.yaml_implicit_resolvers.items()}
for words, tag in ((TRUE + FALSE, f"{TAG}bool"), (NULL, f"{TAG}null")):
    for which in (Loader, Dumper):
        which.add_implicit_resolver(tag, re.compile(f"(?:{'|'.join(words)})$"), [*{word[:1] for word in words}])
for which in (Loader, Dumper):
    which.add_implicit_resolver(f"{TAG}float", NUMBER, [*"-+.0123456789"])


def number(loader: Any, node: yaml.ScalarNode) -> int | float | str:
    """A number as JSON has it: whole where it can be, and a float where it needs more than 64 bits. Raises BadYaml."""
    text = str(loader.construct_scalar(node))
    plain = text.replace("_", "").lower()
    found = INTEGER.fullmatch(plain)
    value: int | float
    try:
        value = int(found[1] + found[3], BASES[found[2]]) if found else float(plain)
    except ValueError:
        if plain.endswith((".inf", ".nan")):
            raise BadYaml(f"json: unsupported value: {INFINITE[plain.lstrip('+')]}") from None
        try:
            value = float(plain)
        except ValueError:
            return text
    if not math.isfinite(value):
        return text
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < GO_EXPONENT else value
    return value if -(1 << 63) <= value < 1 << 64 else float(value)


def truth(loader: Any, node: yaml.ScalarNode) -> bool:
    return loader.construct_scalar(node) in TRUE


Loader.add_constructor(f"{TAG}float", number)
Loader.add_constructor(f"{TAG}bool", truth)
Loader.add_constructor(f"{TAG}merge", lambda loader, node: node.value)  # where it is a value, and no key


def load(text: bytes) -> Any:
    """The one document of a text. Raises BadYaml."""
    try:
        check_depth(text)
        value = yaml.load(text, Loader)
        check_size(value, {})
        return as_json(value)
    except BadYaml:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise BadYaml(f"yaml: {describe(error)}") from None


def describe(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"line {mark.line + 1}: {problem}" if mark else problem


def check_depth(text: bytes) -> None:
    """Raises BadYaml where values are nested too deeply for what follows; libyaml would overflow its stack."""
    depth = 0
    for event in yaml.parse(text, Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise BadYaml("yaml: exceeded max depth")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def check_size(value: Any, known: dict[int, int]) -> int:
    """How many values there are once aliases are followed, each counted once and then remembered by its identity.
    Raises BadYaml where there are too many.
    """
    if not isinstance(value, dict | list):
        return 1
    size = known.get(id(value))
    if size is None:
        known[id(value)] = LARGEST  # what contains itself has no end
        size = 1 + sum(check_size(child, known) for child in (value.values() if isinstance(value, dict) else value))
        if size > LARGEST:
            raise BadYaml("yaml: document contains excessive aliasing")
        known[id(value)] = size
    return size


def repeated(text: bytes) -> list[tuple[int, str]]:
    """The keys that a document says more than once, each with the line of the repetition, counted from 1.

    The document has been loaded before.
    """
    found: list[tuple[int, str]] = []
    waiting = [yaml.compose(text, Loader)]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in keys:
                    found.append((key.start_mark.line + 1, key.value))
                keys.add(str(key.value))
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return sorted(found)


def complaints(text: bytes) -> list[str]:
    """What is wrong with a document that says keys more than once, as Go's YAML says it."""
    found = [f'  line {line}: key "{key}" already set in map' for line, key in repeated(text)]
    return ["error converting YAML to JSON: yaml: unmarshal errors:\n" + "\n".join(found)] if found else []


def as_json(value: Any) -> Any:
    """The value with text keys and no types of YAML's own."""
    if isinstance(value, dict):
        return {key_text(key): as_json(child) for key, child in value.items()}
    if isinstance(value, list):
        return [as_json(child) for child in value]
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise BadYaml(f"yaml: cannot convert {type(value).__name__} to JSON")


def key_text(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, str | int | float):
        return str(key)
    raise BadYaml(f"yaml: unsupported map key {key!r}")


def dump(value: Any) -> bytes:
    """A document, keys sorted as Kubernetes sorts them."""
    text: str = yaml.dump(value, Dumper=Dumper, default_flow_style=False, sort_keys=True, allow_unicode=True)
    return text.encode()
