"""Patches: JSON patch, JSON merge patch and strategic merge patch, each from a document and a patch to a new document.

None changes what it is given, nor does the result share anything mutable with it. What a patch cannot do is raised as
BadRequest or Invalid, in Kubernetes's words. Server-side apply is not a patch in this sense.
"""

from timonier.api.patches.clone import clone
from timonier.api.patches.json_patch import json_patch
from timonier.api.patches.merge import merge_patch
from timonier.api.patches.strategic import strategic_merge

__all__ = ["clone", "json_patch", "merge_patch", "strategic_merge"]
