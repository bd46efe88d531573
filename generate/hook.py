"""The hatch build hook: writes the generated files into the source tree before it is packed or linked.

It runs for wheels and for editable installs, so that a checkout and an installed package hold the same files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        sys.path.insert(0, str(root))
        try:
            from generate import protos, schema, types
        finally:
            sys.path.remove(str(root))
        package = root / "src" / "timonier"
        definitions = schema.load()
        schema.write(definitions, package / "api" / "schema")
        types.write(definitions, package / "api" / "types")
        protos.write(package / "node" / "cri")
