"""YAML in and out, with libyaml: the subset that is JSON in other clothes, as Kubernetes takes it.

Documents are bounded in what aliases may blow them up to; timestamps and other types that JSON lacks stay text.
"""

from __future__ import annotations

from typing import Any

import yaml

LARGEST = 1_000_000
"""Values in a document once its aliases are followed."""


DEEPEST = 250
"""Levels of nesting; JSON cannot be written with many more."""


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
