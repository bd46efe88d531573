"""Python modules for the container runtime's messages, compiled from the `.proto` files beside their users."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def write(folder: Path) -> None:
    """Compile every `.proto` in the folder, with stubs; raises RuntimeError where protoc refuses one."""
    from grpc_tools import protoc

    well_known = str(files("grpc_tools") / "_proto")
    for source in sorted(folder.glob("*.proto")):
        command = ["protoc", f"-I{folder}", f"-I{well_known}", f"--python_out={folder}", f"--pyi_out={folder}",
                   str(source)]
        if protoc.main(command) != 0:
            raise RuntimeError(f"protoc refused {source}")
