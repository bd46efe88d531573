"""How Kubernetes numbers the fields of its objects in protobuf: writes `src/timonier/api/protobuf/fields.txt`.

    python scripts/protobuf_fields.py [FOLDER]

The numbers and types stand in the `generated.proto` files that Kubernetes publishes with its Go modules; under which
names the fields go in JSON, and which of them are pointers, stands beside them in the tags of the Go structs. FOLDER
holds the modules (`k8s.io/api@v0.37.0` or `k8s.io/api`, as Go's module cache and Debian's golang-k8s-*-dev have them);
without it, Go downloads them. A test compares the result with what is in kubectl itself.

The form of the table: a line with a package, then a line for each message of it, `NAME FIELD=NUMBER:TYPE …`. FIELD is
the name in JSON, empty for an embedded struct, whose fields belong to its parent, and for what is only a list. `*`
before a type is a pointer, whose presence means something even where it is zero; `[]` a list; `{}` a map from text.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

VERSION = "v0.37.0"
MODULES = ("api", "apimachinery", "apiextensions-apiserver", "kube-aggregator")
STABLE = re.compile(r"/v\d+$")
OLD_VERSIONS = ("api/apps/v1beta1", "api/apps/v1beta2", "api/extensions/v1beta1", "api/policy/v1beta1",
                "apimachinery/pkg/apis/meta/v1beta1")
"""Versions that are no longer served, in which some objects are still sent."""
REFERRED_TO = ("api/scheduling/v1alpha3",)
"""Versions that are not served, of which fields of those that are refer to messages."""
BUILDING_BLOCKS = ("apimachinery/pkg/runtime", "apimachinery/pkg/api/resource", "apimachinery/pkg/util/intstr")
LEFT_OUT = ("api/admission/", "api/imagepolicy/", "apimachinery/pkg/apis/testapigroup/",
            "apiextensions-apiserver/examples/")
TABLE = Path(__file__).parents[1] / "src" / "timonier" / "api" / "protobuf" / "fields.txt"
WIDTHS = {"int32": "int", "int64": "int"}
"""Types that look the same on the wire."""

MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.M | re.S)
FIELD = re.compile(r"^  (optional|repeated|map<string, ([.\w]+)>) ?([.\w]*?) ?(\w+) = (\d+);", re.M)
STRUCT = re.compile(r"^(?:type |\t)(\w+) struct \{\n(.*?)^\t?\}", re.M | re.S)
TAGGED = re.compile(r"^\s*(?P<code>[^\n`/]+)`(?P<tags>[^`\n]*)`", re.M)


def main(arguments: list[str]) -> None:
    folders = found(Path(arguments[0])) if arguments else downloaded()
    TABLE.write_text("".join(f"{line}\n" for line in table(folders)))


def found(folder: Path) -> dict[str, Path]:
    """The modules in a folder, by name."""
    places = {}
    for module in MODULES:
        matches = [*sorted(folder.glob(f"**/k8s.io/{module}@v*")), *folder.glob(f"**/k8s.io/{module}")]
        if not matches:
            raise SystemExit(f"{folder} does not hold k8s.io/{module}")
        places[module] = matches[0]
    return places


def downloaded() -> dict[str, Path]:
    """The modules in Go's cache, where `go` puts them."""
    command = ["go", "mod", "download", "-json", *(f"k8s.io/{module}@{VERSION}" for module in MODULES)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout
    places, decoder, at = {}, json.JSONDecoder(), 0
    while text[at:].strip():
        entry, at = decoder.raw_decode(text, at)
        at += len(text) - at - len(text[at:].lstrip())
        places[entry["Path"].removeprefix("k8s.io/")] = Path(entry["Dir"])
    return places


def table(folders: dict[str, Path]) -> Iterator[str]:
    for module, folder in sorted(folders.items()):
        for file in sorted(folder.glob("**/generated.proto")):
            package = f"{module}/{file.parent.relative_to(folder)}"
            if wanted(package):
                yield "io.k8s." + package.replace("/", ".")
                yield from messages(file)


def wanted(package: str) -> bool:
    return not package.startswith(LEFT_OUT) and (
        bool(STABLE.search(package)) or package in OLD_VERSIONS + REFERRED_TO + BUILDING_BLOCKS)


def messages(file: Path) -> Iterator[str]:
    """A line for each message of a package."""
    structs = go_structs(file.parent)
    for name, body in MESSAGE.findall(file.read_text()):
        tags = structs.get(name, {})
        listed = name not in structs and "// items, if empty, will result in an empty slice" in body
        fields = []
        for label, values, kind, field, number in FIELD.findall(body):
            json_name, pointer = tags.get(int(number), (field, False))
            shape = "{}" if values else "[]" if label == "repeated" else "*" if pointer else ""
            fields.append(f"{'' if listed else json_name}={number}:{shape}{type_of(values or kind)}")
        yield " ".join([name, *fields])


def type_of(name: str) -> str:
    """A scalar, a message of this package, or one of another by its full name."""
    name = re.sub(r"^\.?k8s\.io\.", "io.k8s.", name).replace("_", "-")
    return WIDTHS.get(name, name)


def go_structs(folder: Path) -> dict[str, dict[int, tuple[str, bool]]]:
    """Of each struct, by protobuf number: name in JSON, and whether the field is a pointer."""
    structs = {}
    for file in folder.glob("*.go"):
        if file.name.startswith("generated") or file.name.endswith("_test.go"):
            continue
        for name, body in STRUCT.findall(file.read_text()):
            structs[name] = dict(go_fields(body))
    return structs


def go_fields(body: str) -> Iterator[tuple[int, tuple[str, bool]]]:
    for match in TAGGED.finditer(body):
        number = re.search(r'protobuf:"\w+,(\d+),', match["tags"])
        name = re.search(r'json:"([^",]*)', match["tags"])
        if number and name and name[1] != "-":
            yield int(number[1]), (name[1], match["code"].split()[-1].startswith("*"))


if __name__ == "__main__":
    main(sys.argv[1:])
