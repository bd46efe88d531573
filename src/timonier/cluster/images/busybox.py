"""Small images around Debian's static busybox: a shell, a web server and the usual tools in two megabytes."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from timonier.cluster.images.archive import File, Image
from timonier.cluster.spec import ClusterError

BUSYBOX = Path("/bin/busybox")
PT_INTERP = 3
ACCOUNTS = {
    "/etc/passwd": File(b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    "/etc/group": File(b"root:x:0:\nnogroup:x:65534:\n"),
    "/tmp/.keep": File(),
}


def busybox(name: str, *, files: Mapping[str, File] | None = None, entrypoint: Sequence[str] = (),
            command: Sequence[str] = ("/bin/sh",), env: Mapping[str, str] | None = None, user: str = "") -> Image:
    """An image with every tool of busybox, and what else is given. Raises ClusterError where there is no busybox."""
    tools: dict[str, File] = {"/bin/busybox": File(program(), 0o755)}
    tools |= {f"/bin/{tool}": File(link="busybox") for tool in applets()}
    return Image(name, tools | ACCOUNTS | dict(files or {}), entrypoint=entrypoint, command=command,
                 env={"PATH": "/bin"} | dict(env or {}), user=user)


def program() -> bytes:
    try:
        content = BUSYBOX.read_bytes()
    except FileNotFoundError as error:
        raise ClusterError(f"{BUSYBOX} is missing; install it with: apt-get install busybox-static") from error
    if needs_loader(content):
        raise ClusterError(f"{BUSYBOX} needs libraries that an image would not have; install the static one with: "
                           "apt-get install busybox-static")
    return content


def needs_loader(elf: bytes) -> bool:
    """Whether a 64-bit ELF executable names an interpreter (PT_INTERP), which loads its libraries."""
    headers_at, size, count = struct.unpack_from("<Q", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
    return any(struct.unpack_from("<I", elf, headers_at + size * number)[0] == PT_INTERP for number in range(count))


def applets() -> list[str]:
    """The tools that this busybox is, but for itself."""
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, timeout=10, check=True)
    return [tool for tool in listed.stdout.split() if tool != "busybox"]
