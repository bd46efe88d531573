"""YAML in and out, with libyaml: the subset that is JSON in other clothes, as Kubernetes takes it.

Documents are bounded in what aliases may blow them up to; timestamps and other types that JSON lacks stay text.
"""

from __future__ import annotations

from typing import Any

import yaml

LARGEST = 1_000_000
"""Values in a document once its aliases are followed."""


class BadYaml(ValueError):
    """The text is not YAML that could be JSON; the message says where."""


class Loader(yaml.CSafeLoader):
    """YAML 1.1 with JSON's types alone."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def load(text: bytes) -> Any:
    """The one document of a text. Raises BadYaml."""
    try:
        value = yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise BadYaml(f"yaml: {describe(error)}") from None
    except RecursionError:
        raise BadYaml("yaml: exceeded max depth") from None
    return as_json(value, [0])


def describe(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"line {mark.line + 1}: {problem}" if mark else problem


def as_json(value: Any, count: list[int]) -> Any:
    """The value with text keys and no types of YAML's own."""
    count[0] += 1
    if count[0] > LARGEST:
        raise BadYaml("yaml: document contains excessive aliasing")
    if isinstance(value, dict):
        return {key_text(key): as_json(child, count) for key, child in value.items()}
    if isinstance(value, list):
        return [as_json(child, count) for child in value]
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    raise BadYaml(f"yaml: cannot convert {type(value).__name__} to JSON")


def key_text(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, str | int | float):
        return str(key)
    raise BadYaml(f"yaml: unsupported map key {key!r}")


def dump(value: Any) -> bytes:
    """A document, keys sorted as Kubernetes sorts them."""
    text: str = yaml.dump(value, Dumper=yaml.CSafeDumper, default_flow_style=False, sort_keys=True, allow_unicode=True)
    return text.encode()
