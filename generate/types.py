"""The generated `msgspec.Struct` types: one module a group and version, one class a definition.

Field names are those of the manifest. What a field is when the wire does not say follows one rule, so that code reads
`pod.spec.containers` without asking whether each step is there:

- lists and maps are empty; strings are empty; `metadata`, `spec`, `status` and required objects are default objects;
- booleans and optional objects are None; so are optional numbers, since their zero means something
  (`replicas: 0`), but in statuses and where they are required they are 0;
- `NULLABLE_STRINGS` are the strings whose emptiness means something else than absence: they are None.

Unknown fields are ignored, defaults are left out when encoding. Objects of the API carry `apiVersion` and `kind` as
class variables; the client writes them.
"""

from __future__ import annotations

import keyword
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

NULLABLE_STRINGS = frozenset({"storageClassName", "volumeAttributesClassName", "ingressClassName"})
DEFAULT_OBJECTS = frozenset({"metadata", "spec", "status"})
SCALARS = {"string": "str", "boolean": "bool", "number": "float", "integer": "int"}
SHADOWING = frozenset({"bool", "bytes", "dict", "float", "int", "list", "str"})
"""Fields that would hide the type of their neighbours in the class body."""
HEADER = """\"\"\"Generated from the Kubernetes v1.37 schema; see generate/types.py.\"\"\"

from __future__ import annotations
"""


def place(name: str) -> tuple[str, str]:
    """The module and class of a definition: `io.k8s.api.core.v1.Pod` is (`core_v1`, `Pod`)."""
    *path, kind = name.split(".")
    if path[-1].startswith("v") and path[-1][1:2].isdigit():
        return f"{path[-2]}_{path[-1]}", kind
    return "plain", kind


class Generator:
    """Turns definitions into the text of modules."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self.definitions = definitions

    def is_object(self, name: str) -> bool:
        return "properties" in self.definitions[name]

    def annotation(self, node: Schema, module: str) -> str:
        """The Python type of a schema node, as seen from a module."""
        if "$ref" in node:
            return self.reference(node["$ref"], module)
        match node.get("type"):
            case "array":
                return f"list[{self.annotation(node['items'], module)}]"
            case "object":
                values = node.get("additionalProperties")
                return f"dict[str, {self.annotation(values, module) if values else 'Any'}]"
            case "string" if node.get("format") == "byte":
                return "bytes"
            case str(scalar):
                return SCALARS[scalar]
            case _:
                return "Any"

    def reference(self, name: str, module: str) -> str:
        target = self.definitions[name]
        if not self.is_object(name):
            match target.get("format"):
                case "int-or-string":
                    return "int | str"
                case "quantity":
                    return "str"
            return self.annotation({k: v for k, v in target.items() if k != "$ref"}, module)
        home, kind = place(name)
        return kind if home == module else f"{home}.{kind}"

    def field(self, name: str, node: Schema, module: str, owner: str, required: bool) -> str:
        """One line of a class: its name, type and default."""
        annotation = self.annotation(node, module)
        attribute, renamed = attribute_name(name)
        default, annotation = self.default(name, annotation, owner, required)
        if renamed:
            default = default.replace("field(", f"field(name={name!r}, ", 1) if default.startswith("field(") else \
                f"field(default={default}, name={name!r})"
        return f"    {attribute}: {annotation} = {default}"

    def default(self, name: str, annotation: str, owner: str, required: bool) -> tuple[str, str]:
        if annotation.startswith(("list[", "dict[")):
            return f"field(default_factory={annotation.split('[')[0]})", annotation
        if annotation == "Any":
            return "None", annotation
        if annotation == "str" and name not in NULLABLE_STRINGS:
            return '""', annotation
        if annotation == "bytes":
            return 'b""', annotation
        if annotation in ("int", "float") and (required or owner.endswith("Status")):
            return ("0" if annotation == "int" else "0.0"), annotation
        if annotation == "bool" and required:
            return "False", annotation
        if annotation == "int | str" and required:
            return "0", annotation
        if annotation not in ("str", "bool", "int", "float", "int | str") and (required or name in DEFAULT_OBJECTS):
            return f"field(default_factory={annotation})", annotation
        return "None", f"{annotation} | None"

    def struct(self, full_name: str, module: str) -> str:
        node = self.definitions[full_name]
        _, kind = place(full_name)
        lines = [f"class {kind}(Struct, kw_only=True, omit_defaults=True, gc=False):"]
        identity = [g for g in node.get("x-kubernetes-group-version-kind", ()) if g["kind"] == kind]
        skipped: tuple[str, ...] = ()
        if len(identity) == 1 and {"apiVersion", "kind"} <= set(node["properties"]):
            group, version = identity[0]["group"], identity[0]["version"]
            lines += [f'    apiVersion: ClassVar[str] = "{group + "/" if group else ""}{version}"',
                      f'    kind: ClassVar[str] = "{kind}"']
            skipped = ("apiVersion", "kind")
        required = set(node.get("required", ()))
        lines += [self.field(name, child, module, kind, name in required)
                  for name, child in node["properties"].items() if name not in skipped]
        return "\n".join(lines if len(lines) > 1 else [*lines, "    pass"]) + "\n"

    def needed_first(self, full_name: str) -> Iterator[str]:
        """Classes that a class calls as a default factory, and that must therefore stand above it."""
        node = self.definitions[full_name]
        required = set(node.get("required", ()))
        for name, child in node["properties"].items():
            target = child.get("$ref")
            if target and self.is_object(target) and (name in required or name in DEFAULT_OBJECTS):
                yield target

    def ordered(self, names: list[str], module: str) -> list[str]:
        seen: dict[str, None] = {}

        def visit(name: str) -> None:
            if name in seen or place(name)[0] != module:
                return
            for needed in self.needed_first(name):
                visit(needed)
            seen[name] = None

        for name in sorted(names):
            visit(name)
        return list(seen)

    def module(self, module: str, names: list[str]) -> str:
        classes = "\n\n".join(self.struct(name, module) for name in self.ordered(names, module))
        others = sorted({place(n)[0] for n in self.definitions if self.is_object(n)} - {module})
        used = [other for other in others if f"{other}." in classes]
        imports = "\nfrom typing import Any, ClassVar\n\nfrom msgspec import Struct, field\n"
        if used:
            imports += "\nfrom timonier.api.types import " + ", ".join(used) + "\n"
        return f"{HEADER}{imports}\n\n{classes}"


def attribute_name(name: str) -> tuple[str, bool]:
    """A field's Python name, and whether it differs: `continue_`, `ref_` for `$ref`, `x_a` for `x-a`, `int_`."""
    clean = name.replace("-", "_").lstrip("$")
    if keyword.iskeyword(clean) or clean in SHADOWING or name.startswith("$"):
        clean += "_"
    return clean, clean != name


def write(definitions: dict[str, Schema], folder: Path) -> None:
    """Replace the folder's modules by those of the definitions."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = Generator(definitions)
    modules: dict[str, list[str]] = defaultdict(list)
    for name in definitions:
        if generator.is_object(name):
            modules[place(name)[0]].append(name)
    for stale in folder.glob("*.py"):
        stale.unlink()
    for module, names in modules.items():
        (folder / f"{module}.py").write_text(generator.module(module, names))
    (folder / "__init__.py").write_text(
        '"""Kubernetes v1.37 as msgspec types: generated, one module a group and version (`core_v1`, `apps_v1`)."""\n')
